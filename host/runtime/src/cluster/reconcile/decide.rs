//! What to do next for a version: a function from what is there and what is wanted to one step.
//!
//! Never talks to anybody, remembers nothing: after a crash at any point the same function goes on from what is there.
//!
//! # Guarantees
//! Up: components are judged before anything is made, streams and durables are there before any pod, the Service only when nodes read and pods are ready. Down: nobody is sent
//! here any more, then the entrypoint ends, then the nodes, then what they read from. Going back at any point leads there
//! from wherever it is.

/// What is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// It runs; whether it is published is told by [`Observed::publication_off`].
    Running,
    /// Nothing of it runs.
    #[default]
    Stopped,
    /// Nothing of it is left, and the resource may go.
    Gone,
}

/// What is known of the package; only asked for when it is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PackageState {
    /// It can run.
    #[default]
    Fine,
    /// It cannot; only another package or another configuration mends it.
    Refused,
}

/// Objects of one sort, and their pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// Objects that are there, those on their way out included.
    pub there: usize,
    /// Objects that are to be made, changed or removed when it is to run.
    pub off: usize,
    /// Pods that are there, those on their way out included.
    pub pods: usize,
}

/// One Service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Door {
    /// It is not there.
    #[default]
    Missing,
    /// It is there and not as wanted.
    Off,
    /// It is there.
    Open,
}

/// What is there of one version, and what is wanted of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// What is wanted.
    pub wanted: Wanted,
    /// Whether the resource waits for us when it is deleted.
    pub held: bool,
    /// The package.
    pub package: PackageState,
    /// Whether its components are still being compiled.
    pub compiling: bool,
    /// Whether anything may have been made on the bus.
    pub bus_touched: bool,
    /// Whether everything is on the bus as planned.
    pub bus_made: bool,
    /// ConfigMaps, policies and the like.
    pub rest: Part,
    /// The entrypoint.
    pub entrypoint: Part,
    /// The nodes.
    pub nodes: Part,
    /// Whether all pods that are wanted are ready, and no others are there.
    pub ready: bool,
    /// Whether all durables of native nodes are being read.
    pub bound: bool,
    /// The Service of the version's name.
    pub service: Door,
    /// Whether `active-entrypoint` is to lead elsewhere than it does.
    pub publication_off: bool,
}

/// One step. Each may be taken twice, or by two at once, without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do until its components are compiled.
    AwaitCompiled,
    /// Make the resource wait for us when it is deleted.
    Hold,
    /// Make streams, durables and buckets.
    Provision,
    /// Make, change and remove objects other than Services.
    Apply,
    /// Nothing to do until pods are ready.
    AwaitReady,
    /// Nothing to do until native nodes read.
    AwaitBound,
    /// Make the Service of the version's name.
    Expose,
    /// Lead `active-entrypoint` where it is to lead.
    Publish,
    /// Remove the Service of the version's name.
    Hide,
    /// Remove the entrypoint's Deployment: its pods answer what they have, and go.
    RemoveEntrypoint,
    /// Nothing to do until the entrypoint's pods are gone.
    AwaitEntrypointGone,
    /// Remove the nodes' Deployments.
    RemoveNodes,
    /// Nothing to do until the nodes' pods are gone.
    AwaitNodesGone,
    /// Remove streams, durables and object stores; when the resource goes, all that it has on the bus.
    Deprovision,
    /// Remove the other objects.
    RemoveRest,
    /// Let the resource go when it is deleted.
    Release,
    /// Nothing to do until the package or its configuration is another.
    Refuse,
    /// Nothing to do.
    Rest,
}

impl Step {
    /// Whether something else has to happen first: there is nothing to be done now.
    pub fn waits(self) -> bool {
        matches!(
            self,
            Self::AwaitCompiled
                | Self::AwaitReady
                | Self::AwaitBound
                | Self::AwaitEntrypointGone
                | Self::AwaitNodesGone
                | Self::Refuse
                | Self::Rest
        )
    }
}

/// The next step.
pub fn decide(observed: &Observed) -> Step {
    match observed.wanted {
        Wanted::Running => up(observed),
        Wanted::Stopped | Wanted::Gone => down(observed),
    }
}

fn up(observed: &Observed) -> Step {
    let Observed { rest, entrypoint, nodes, .. } = observed;
    if observed.package == PackageState::Refused {
        Step::Refuse
    } else if observed.compiling && observed.service == Door::Missing {
        // Nothing is made of what may turn out to be no component.
        Step::AwaitCompiled
    } else if !observed.held {
        Step::Hold
    } else if !observed.bus_made {
        Step::Provision
    } else if rest.off + entrypoint.off + nodes.off > 0 && !observed.compiling {
        // What runs goes on as it is until its pods have something to be rolled to.
        Step::Apply
    } else if observed.service == Door::Off {
        // Somebody changed it: callers must not wait for pods.
        Step::Expose
    } else if observed.service == Door::Open && observed.publication_off {
        Step::Publish
    } else if !observed.ready {
        Step::AwaitReady
    } else if !observed.bound {
        Step::AwaitBound
    } else if observed.service == Door::Missing {
        Step::Expose
    } else if observed.publication_off {
        Step::Publish
    } else if observed.compiling {
        Step::AwaitCompiled
    } else {
        Step::Rest
    }
}

fn down(observed: &Observed) -> Step {
    let Observed { rest, entrypoint, nodes, .. } = observed;
    if observed.publication_off {
        Step::Publish
    } else if observed.service != Door::Missing {
        Step::Hide
    } else if entrypoint.there > 0 {
        Step::RemoveEntrypoint
    } else if entrypoint.pods > 0 {
        Step::AwaitEntrypointGone
    } else if nodes.there > 0 {
        Step::RemoveNodes
    } else if nodes.pods > 0 {
        Step::AwaitNodesGone
    } else if observed.bus_touched {
        Step::Deprovision
    } else if rest.there > 0 {
        Step::RemoveRest
    } else if observed.held && observed.wanted == Wanted::Gone {
        // A version that is merely stopped may have configuration values on the bus still, which go with the resource.
        Step::Release
    } else {
        Step::Rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world in which every step succeeds, and pods come and go by themselves.
    #[derive(Debug, Clone, PartialEq)]
    struct World {
        seen: Observed,
        /// What was done, in order.
        done: Vec<Step>,
    }

    impl World {
        fn wanting(wanted: Wanted) -> Self {
            let mut world = Self { seen: Observed::default(), done: Vec::new() };
            world.want(wanted);
            world
        }

        fn want(&mut self, wanted: Wanted) {
            let seen = &mut self.seen;
            seen.wanted = wanted;
            seen.compiling = wanted == Wanted::Running && seen.service == Door::Missing;
            for part in [&mut seen.rest, &mut seen.entrypoint, &mut seen.nodes] {
                part.off = if wanted == Wanted::Running { usize::from(part.there == 0) } else { 0 };
            }
        }

        /// Takes the next step, or lets happen what it waits for; false when there is nothing left.
        fn go_on(&mut self) -> bool {
            let step = decide(&self.seen);
            let seen = &mut self.seen;
            match step {
                Step::Hold => seen.held = true,
                Step::AwaitCompiled => seen.compiling = false,
                Step::Provision => (seen.bus_touched, seen.bus_made) = (true, true),
                Step::Apply => {
                    for part in [&mut seen.rest, &mut seen.entrypoint, &mut seen.nodes] {
                        *part = Part { there: 1, off: 0, pods: 1 };
                    }
                    seen.rest.pods = 0;
                }
                Step::AwaitReady => seen.ready = true,
                Step::AwaitBound => seen.bound = true,
                Step::Expose => seen.service = Door::Open,
                Step::Publish => seen.publication_off = false,
                Step::Hide => seen.service = Door::Missing,
                Step::RemoveEntrypoint => (seen.entrypoint.there, seen.ready) = (0, false),
                Step::AwaitEntrypointGone => seen.entrypoint.pods = 0,
                Step::RemoveNodes => seen.nodes.there = 0,
                Step::AwaitNodesGone => (seen.nodes.pods, seen.bound) = (0, false),
                Step::Deprovision => (seen.bus_touched, seen.bus_made) = (false, false),
                Step::RemoveRest => seen.rest.there = 0,
                Step::Release => seen.held = false,
                Step::Refuse | Step::Rest => return false,
            }
            self.done.push(step);
            true
        }

        fn settle(&mut self) {
            for _ in 0..64 {
                if !self.go_on() {
                    return;
                }
            }
            panic!("it does not settle: {self:#?}");
        }
    }

    const UP: [Step; 7] = [
        Step::AwaitCompiled,
        Step::Hold,
        Step::Provision,
        Step::Apply,
        Step::AwaitReady,
        Step::AwaitBound,
        Step::Expose,
    ];

    const DOWN: [Step; 8] = [
        Step::Hide,
        Step::RemoveEntrypoint,
        Step::AwaitEntrypointGone,
        Step::RemoveNodes,
        Step::AwaitNodesGone,
        Step::Deprovision,
        Step::RemoveRest,
        Step::Release,
    ];

    #[test]
    fn a_version_comes_up_in_order_and_goes_down_in_the_reverse_one() {
        let mut world = World::wanting(Wanted::Running);
        world.settle();
        assert_eq!(world.done, UP);
        world.done.clear();
        let mut deleted = world.clone();
        world.want(Wanted::Stopped);
        world.settle();
        assert_eq!(world.done, DOWN[..7]);
        assert_eq!(world.seen, Observed { held: true, ..Observed::default() });
        deleted.want(Wanted::Gone);
        deleted.settle();
        assert_eq!(deleted.done, DOWN);
    }

    #[test]
    fn whoever_goes_back_at_any_step_finds_nothing_left_and_may_start_again() {
        for steps in 0..=UP.len() {
            for wanted in [Wanted::Stopped, Wanted::Gone] {
                let mut world = World::wanting(Wanted::Running);
                (0..steps).for_each(|_| assert!(world.go_on()));
                world.want(wanted);
                world.settle();
                let held = steps > 1 && wanted == Wanted::Stopped;
                let nothing = Observed { wanted, held, ..Observed::default() };
                assert_eq!(world.seen, nothing, "after {steps} steps");
                world.want(Wanted::Running);
                world.settle();
                assert_eq!(world.seen.service, Door::Open);
            }
        }
    }

    #[test]
    fn whoever_starts_again_at_any_step_of_a_stop_gets_all_of_it() {
        // All but the last, which is a deletion's.
        for steps in 0..DOWN.len() {
            let mut world = World::wanting(Wanted::Running);
            world.settle();
            let started = world.seen.clone();
            world.want(Wanted::Stopped);
            (0..steps).for_each(|_| assert!(world.go_on()));
            world.want(Wanted::Running);
            world.settle();
            assert_eq!(world.seen, started, "after {steps} steps");
        }
    }

    #[test]
    fn nobody_is_sent_to_a_version_before_it_is_ready_nor_after_it_has_begun_to_stop() {
        let mut world = World::wanting(Wanted::Running);
        world.seen.publication_off = true;
        world.settle();
        let at = |step: Step, done: &[Step]| done.iter().position(|&done| done == step);
        assert!(at(Step::AwaitReady, &world.done) < at(Step::Expose, &world.done), "{:?}", world.done);
        assert!(at(Step::Expose, &world.done) < at(Step::Publish, &world.done), "{:?}", world.done);
        world.done.clear();
        world.want(Wanted::Stopped);
        world.seen.publication_off = true;
        world.settle();
        assert_eq!(world.done[..2], [Step::Publish, Step::Hide]);
    }

    #[test]
    fn what_runs_is_looked_after_but_not_rolled_while_its_components_are_compiled_for_another_engine() {
        let mut world = World::wanting(Wanted::Running);
        world.settle();
        world.seen.compiling = true;
        world.seen.nodes.off = 1;
        assert_eq!(decide(&world.seen), Step::AwaitCompiled);
        world.seen.publication_off = true;
        assert_eq!(decide(&world.seen), Step::Publish);
        world.seen.service = Door::Off;
        assert_eq!(decide(&world.seen), Step::Expose);
        world.seen.bus_made = false;
        assert_eq!(decide(&world.seen), Step::Provision);
    }

    #[test]
    fn a_service_that_somebody_changed_is_mended_while_pods_are_away() {
        let mut world = World::wanting(Wanted::Running);
        world.settle();
        world.seen.ready = false;
        world.seen.service = Door::Off;
        assert_eq!(decide(&world.seen), Step::Expose);
    }

    #[test]
    fn a_package_that_cannot_run_changes_nothing_that_runs_and_can_still_be_stopped() {
        let mut world = World::wanting(Wanted::Running);
        world.settle();
        world.seen.package = PackageState::Refused;
        world.seen.nodes.off = 1;
        assert_eq!(decide(&world.seen), Step::Refuse);
        world.want(Wanted::Gone);
        world.settle();
        assert!(!world.seen.held && !world.seen.bus_touched);
    }
}
