//! The chart's README as its values and their comments say it. Writes nothing.

use std::fmt::Write as _;

/// The README of the chart whose `values.yaml` is this.
///
/// Values with a comment that begins with `--` are told of, by their path; a block's own is told where it begins.
pub fn readme(values: &str) -> String {
    let mut text = String::from(HEAD);
    for Told { path, default, what } in told(values) {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let _ = writeln!(text, "| `{path}` | {default} | {} |", what.replace('|', "\\|"));
    }
    text.push_str(TAIL);
    text
}

struct Told {
    path: String,
    default: String,
    what: String,
}

fn told(values: &str) -> Vec<Told> {
    let mut all = Vec::new();
    // Keys above the line in hand, each with its indentation.
    let mut above: Vec<(usize, &str)> = Vec::new();
    let mut comment: Option<String> = None;
    for line in values.lines() {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(said) = text.strip_prefix('#') {
            let said = said.trim();
            match (said.strip_prefix("--"), &mut comment) {
                (Some(begun), _) => comment = Some(begun.trim().to_owned()),
                (None, Some(before)) => {
                    before.push(' ');
                    before.push_str(said);
                }
                (None, None) => {}
            }
            continue;
        }
        // A list's items and the ends of braces have no key of their own.
        let Some((key, value)) = text.split_once(':').filter(|(key, _)| !key.starts_with(['-', '{', '}'])) else {
            comment = None;
            continue;
        };
        above.retain(|(outer, _)| *outer < indent);
        above.push((indent, key));
        if let Some(what) = comment.take() {
            let path = above.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(".");
            all.push(Told { path, default: value.trim().to_owned(), what });
        }
    }
    all
}

const HEAD: &str = "\
# The chart `krt`

Runs KRT v2 versions on Kubernetes (1.29 or newer): the operator with its definitions and permissions, NATS where there is none,
and what teams need. `make bless` makes this file from `values.yaml`.

```console
$ helm install krt charts/krt --namespace krt --create-namespace --wait
$ krt push . -n krt                               # through the cluster, as who the Secret krt-nats-push says
$ krt deploy v1 nats://packages_krt/SHA256 --publish -n krt
$ helm upgrade krt charts/krt --namespace krt --reuse-values --set test.method=Classificator
$ helm test krt --namespace krt                   # calls the version that is published
```

## NATS

Without `nats.urls` the chart brings a NATS of its own with an account for the release and one for each tenant. What is in one
account cannot be named from another: neither subjects nor streams nor buckets. Passwords are made once and stay in Secrets, each
with one user's `url`:

| Secret | where | who, and what that may do |
|---|---|---|
| `krt-nats` | with the versions | their pods: the whole bus, but packages and compiled components are only read |
| `krt-nats-push` | with the versions | who pushes: packages, and nothing else |
| `krt-nats-operator`, `krt-nats-operator-TENANT` | with the release | the operator: all of it |

With `nats.urls`, who connects is in `nats.credentials`: a Secret of that name in the release's namespace and in each where versions run.

`krt push -n NAMESPACE` goes through the API server: it reads `krt-nats-push` there, finds the Service and a pod of NATS, and
forwards to that pod's port. Who pushes so may `get` that Secret, and, where NATS is, `get` Services, `list` pods, and `get` and
`create` `pods/portforward`. Such a forward reaches every port of those pods, among them the one of monitoring, which names the
streams of all tenants: give that to who runs the platform, and to tenants a way of their own (`nats.server.clientsFrom`).

## Tenants

```yaml
tenants:
  - name: team-a                       # the namespace, and the runtime's id
    quota: { requests.cpu: \"4\", requests.memory: 8Gi, pods: \"40\" }
    nats: { maxFile: 2GB, maxStreams: 50 }
    members:                           # who may run versions there
      - { apiGroup: rbac.authorization.k8s.io, kind: Group, name: team-a }
```

Each tenant has an operator of its own: it knows that tenant's account only, and its Role is in that tenant's namespace only. A pod
there meets NetworkPolicies that deny all but what its version needs. Where versions have native nodes, their namespace needs
`podSecurity: baseline` if an image insists on root. A quota on CPU or memory wants requests of all pods: add a LimitRange for native nodes.

## Uninstalling

`helm uninstall` first deletes all versions of the release's namespaces, as `krt delete --all` does: what they have in hand is
finished. Versions are let go by operators, and without one they, and namespaces with them, would stay for ever. Where that is not
done within `uninstall.timeout`, Helm fails with what it waits for, and nothing is uninstalled: mend it, or `krt delete --force`
where NATS is gone for good, and uninstall again. `helm uninstall --no-hooks` leaves versions to an operator to come. Take a tenant
from the list when its versions are deleted: `helm upgrade` refuses it before. NATS's volumes stay, as Kubernetes has it.

## Values

| value | default | what |
|---|---|---|
";

const TAIL: &str = "
`values.schema.json` refuses what is misspelt. The definitions in `crds/` are installed with the chart and left when it goes; Helm
does not change them on an upgrade: apply them with `kubectl apply --server-side -f charts/krt/crds`.
";

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_is_told_by_its_path_with_its_default_and_its_whole_comment() {
        let values = "# Not told.\na:\n  # -- First\n  # of two lines.\n  b: 1 \n  # -- Block.\n  c:\n    d: x\n\ne: f # no\n# -- Flow.\ng: { h: i }\n";
        let told: Vec<_> = super::told(values).into_iter().map(|it| (it.path, it.default, it.what)).collect();
        let expected = [("a.b", "1", "First of two lines."), ("a.c", "", "Block."), ("g", "{ h: i }", "Flow.")];
        assert_eq!(told, expected.map(|(path, default, what)| (path.into(), default.into(), what.into())));
    }
}
