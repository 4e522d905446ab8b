//! The example of two workflows with a node name in common: calls to both at once never mix.

use e2e::running::Running;

#[test]
fn calls_to_two_workflows_at_once_never_mix() {
    let example = e2e::built_example("two-workflows");
    let running = Running::start(example.path(), &[]);
    std::thread::scope(|scope| {
        let running = &running;
        let calls = [("Shout", r#"{"text":"quiet"}"#, "QUIET"), ("Reverse", r#"{"text":"drawer"}"#, "reward")];
        for (method, request, expected) in calls {
            scope.spawn(move || {
                let (code, answers, errors) = running.call(&[method, request, "--count", "500", "--concurrency", "50"]);
                assert_eq!(code, 0, "{method}: {errors}");
                let lines: Vec<&str> = answers.lines().filter(|line| line.contains("\"text\"")).collect();
                assert_eq!(lines.len(), 500, "{method}");
                assert!(lines.iter().all(|line| line.contains(expected)), "{method}: {answers}");
            });
        }
    });
    assert!(running.stop().success());
}
