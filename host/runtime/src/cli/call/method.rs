//! Which method a person means. Pure.

use anyhow::{anyhow, bail};
use prost_reflect::{DescriptorPool, MethodDescriptor};

/// Likeness from which a method is suggested (Jaro–Winkler, 0 to 1).
const ALIKE: f64 = 0.7;

/// All unary methods, by path.
pub(super) fn all(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let services: Vec<_> = pool.services().collect();
    let mut methods: Vec<_> = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    methods.retain(|method| !method.is_client_streaming() && !method.is_server_streaming());
    methods.sort_by_key(path);
    methods
}

/// `/<package>.<Service>/<Method>`.
pub(super) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The method that `name` means: `Method`, `Service/Method`, `package.Service/Method` or `package.Service.Method`.
pub(super) fn find(methods: &[MethodDescriptor], name: &str) -> anyhow::Result<MethodDescriptor> {
    let wanted = name.trim_start_matches('/').replace('/', ".");
    let suffix = format!(".{wanted}");
    let found: Vec<_> =
        methods.iter().filter(|m| m.full_name() == wanted || m.full_name().ends_with(&suffix)).collect();
    match found[..] {
        [method] => Ok(method.clone()),
        [] => Err(unknown(methods, &wanted)),
        // A version's own service is called Entrypoint.
        _ => {
            let own: Vec<_> = found.iter().filter(|m| m.parent_service().name() == "Entrypoint").collect();
            let [method] = own[..] else {
                let names: Vec<_> = found.iter().map(|m| path(m).trim_start_matches('/').to_owned()).collect();
                bail!("{name:?} may be any of {}; say which", names.join(", "));
            };
            Ok((*method).clone())
        }
    }
}

fn unknown(methods: &[MethodDescriptor], wanted: &str) -> anyhow::Error {
    let names: Vec<_> = methods.iter().map(|m| path(m).trim_start_matches('/').to_owned()).collect();
    if names.is_empty() {
        return anyhow!("the server has no methods to call");
    }
    let last = wanted.rsplit('.').next().unwrap_or_default().to_lowercase();
    let likeness = |m: &MethodDescriptor| strsim::jaro_winkler(&m.name().to_lowercase(), &last);
    let alike = methods.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|m| likeness(m) >= ALIKE);
    let hint = alike.map_or_else(String::new, |m| format!("; did you mean {}?", m.name()));
    anyhow!("the server has no method {wanted:?}{hint}\n  there are: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_reflect::prost_types::{
        DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
    };

    fn methods(services: &[(&str, &[&str])]) -> Vec<MethodDescriptor> {
        let method = |name: &&str| MethodDescriptorProto {
            name: Some((*name).into()),
            input_type: Some(".main.Empty".into()),
            output_type: Some(".main.Empty".into()),
            ..Default::default()
        };
        let service = |(name, methods): &(&str, &[&str])| ServiceDescriptorProto {
            name: Some((*name).into()),
            method: methods.iter().map(method).collect(),
            ..Default::default()
        };
        let file = FileDescriptorProto {
            name: Some("f.proto".into()),
            package: Some("main".into()),
            syntax: Some("proto3".into()),
            message_type: vec![DescriptorProto { name: Some("Empty".into()), ..Default::default() }],
            service: services.iter().map(service).collect(),
            ..Default::default()
        };
        all(&DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file: vec![file] }).unwrap())
    }

    #[test]
    fn a_method_goes_by_its_short_and_its_long_names() {
        let methods = methods(&[("Entrypoint", &["Classify", "Reclassify"])]);
        for name in [
            "Classify",
            "Entrypoint/Classify",
            "main.Entrypoint/Classify",
            "/main.Entrypoint/Classify",
            "main.Entrypoint.Classify",
        ] {
            assert_eq!(find(&methods, name).unwrap().full_name(), "main.Entrypoint.Classify", "{name}");
        }
    }

    #[test]
    fn the_service_entrypoint_comes_first_and_other_doubts_are_asked_back() {
        let entrypoint = methods(&[("Entrypoint", &["Get"]), ("Other", &["Get"])]);
        assert_eq!(find(&entrypoint, "Get").unwrap().full_name(), "main.Entrypoint.Get");
        let doubtful = methods(&[("A", &["Get"]), ("B", &["Get"])]);
        let error = find(&doubtful, "Get").unwrap_err().to_string();
        assert_eq!(error, "\"Get\" may be any of main.A/Get, main.B/Get; say which");
    }

    #[test]
    fn an_unknown_method_is_answered_with_the_likeliest() {
        let error = find(&methods(&[("Entrypoint", &["Classificator", "Idle"])]), "clasificator").unwrap_err();
        assert!(error.to_string().contains("did you mean Classificator?"), "{error}");
        assert!(error.to_string().contains("main.Entrypoint/Idle"), "{error}");
    }
}
