//! What holds for the objects of any version; their exact text is in `tests/render`.

use super::*;

const MANIFEST: &str = "\
krtVersion: v2
version: v1
description: A component and a program
config: { variables: [A, B] }
workflows:
  - name: w
    entrypoint: Ask
    exitpoint: last
    nodes:
      - { name: first, src: bin/first.wasm, subscriptions: [entrypoint], replicas: 2, wasm: { timeout: 90s } }
      - { name: last, src: main.py, image: konstellation/kre-py, subscriptions: [first] }
";

fn topology() -> Topology {
    krt::check("krt.yml", MANIFEST.as_bytes(), None).topology.unwrap()
}

fn options() -> Options {
    let package = format!("nats://packages_kre/{}", "0".repeat(64)).parse().unwrap();
    Options::new("kre".to_owned(), package, "krt:1".to_owned(), vec!["nats://nats:4222".to_owned()])
}

fn rendered(options: &Options) -> Objects {
    let topology = topology();
    render(&topology, &krt::plan::plan(&topology, "kre"), options)
}

fn configured(value: &str, revision: Option<&str>) -> Objects {
    let secret = Value::Secret(KeyRef { name: "s".to_owned(), key: "k".to_owned() });
    let variables = vec![
        Variable { name: "A".to_owned(), value: Value::Text(value.to_owned()) },
        Variable { name: "B".to_owned(), value: secret },
    ];
    rendered(&Options { variables, variables_revision: revision.map(str::to_owned), ..options() })
}

#[test]
fn publishing_adds_a_service_and_changes_nothing_else() {
    let started = rendered(&options());
    let mut published = rendered(&Options { published: true, ..options() });
    let active = published.services.pop().unwrap();
    assert_eq!(active.metadata.name.as_deref(), Some(ACTIVE_ENTRYPOINT));
    assert_eq!(active, active_entrypoint(&topology().version, &options().namespace));
    assert_eq!(published, started);
}

#[test]
fn a_value_of_the_configuration_rolls_nodes_and_not_the_entrypoint() {
    let before = configured("1", None);
    for after in [configured("2", None), configured("1", Some("7"))] {
        assert_eq!(before.deployments[0], after.deployments[0], "the entrypoint");
        for (before, after) in before.deployments.iter().zip(&after.deployments).skip(1) {
            assert_eq!(before.metadata.name, after.metadata.name);
            assert_ne!(before, after);
        }
    }
}

#[test]
fn equal_arguments_give_equal_objects() {
    assert_eq!(configured("1", Some("7")), configured("1", Some("7")));
}

#[test]
fn pods_outlive_what_their_process_may_take_to_stop() {
    for deployment in rendered(&options()).deployments {
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        let container = &pod.containers[0];
        let environment = container.env.as_ref().unwrap();
        let Some(grace) = environment.iter().find(|it| it.name == "KRT_GRACE") else { continue };
        let grace: i64 = grace.value.as_ref().unwrap().parse().unwrap();
        assert!(pod.termination_grace_period_seconds.unwrap() > grace, "{}", container.name);
    }
}

#[test]
fn no_pod_has_a_token_or_a_privilege() {
    for deployment in rendered(&options()).deployments {
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert_eq!(pod.security_context.as_ref().unwrap().run_as_non_root, Some(true));
        for container in pod.init_containers.iter().flatten().chain(&pod.containers) {
            let security = container.security_context.as_ref().unwrap();
            assert_eq!(security.allow_privilege_escalation, Some(false));
            assert_eq!(security.capabilities.as_ref().unwrap().drop, Some(vec!["ALL".to_owned()]));
            let is_krt = container.image.as_deref() == Some("krt:1");
            assert_eq!(security.read_only_root_filesystem == Some(true), is_krt, "{}", container.name);
        }
    }
}

#[test]
fn every_object_is_of_the_namespace_and_none_is_named_twice() {
    let mut objects = configured("1", None);
    let mut count = 0;
    objects.each_metadata(|metadata| {
        assert_eq!(metadata.namespace.as_deref(), Some("kre"));
        count += 1;
    });
    let documents = objects.documents().unwrap();
    assert_eq!((documents.len(), objects.values().unwrap().len()), (count, count));
    let mut names: Vec<_> = documents.iter().map(|it| (it.kind, &it.name)).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
