//! Which version of a namespace `active-entrypoint` leads to. A function of what all versions there want and are.

use k8s_openapi::jiff::Timestamp;

/// What one version wants of `active-entrypoint`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The version.
    pub name: String,
    /// Whether it is to be published.
    pub wanted: bool,
    /// Whether it can answer: its own Service is there and its nodes were ready.
    pub able: bool,
    /// Since when it has been wanted; none = not yet noticed.
    pub requested: Option<Timestamp>,
    /// When its resource was made.
    pub created: Option<Timestamp>,
}

/// Who is to be published, when `current` is now: of those that want it and can, the one that was asked for last. Who is
/// published stays so while it is wanted, also when it is not able for a while, unless another was asked for later.
pub fn holder<'a>(claims: &'a [Claim], current: Option<&str>) -> Option<&'a str> {
    let may = |claim: &&Claim| claim.wanted && (claim.able || current == Some(claim.name.as_str()));
    let last = |claim: &&Claim| (claim.requested, claim.created, claim.name.clone());
    claims.iter().filter(may).max_by_key(last).map(|claim| claim.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, requested: i64) -> Claim {
        let requested = Timestamp::from_second(requested).ok();
        Claim { name: name.to_owned(), wanted: true, able: true, requested, created: None }
    }

    #[test]
    fn of_several_the_one_that_was_asked_for_last_is_published() {
        let claims = [claim("v1", 20), claim("v2", 10), Claim { wanted: false, ..claim("v3", 30) }];
        assert_eq!(holder(&claims, None), Some("v1"));
        assert_eq!(holder(&claims, Some("v2")), Some("v1"));
        assert_eq!(holder(&claims, Some("v3")), Some("v1"));
    }

    #[test]
    fn the_old_one_stays_until_the_new_one_can_answer() {
        let claims = [claim("v1", 10), Claim { able: false, ..claim("v2", 20) }];
        assert_eq!(holder(&claims, Some("v1")), Some("v1"));
        assert_eq!(holder(&claims, None), Some("v1"));
    }

    #[test]
    fn who_is_published_stays_so_while_its_pods_are_away() {
        let claims = [Claim { able: false, ..claim("v1", 20) }, claim("v2", 10)];
        assert_eq!(holder(&claims, Some("v1")), Some("v1"));
        assert_eq!(holder(&claims, None), Some("v2"));
    }

    #[test]
    fn nobody_is_published_when_nobody_wants_it_and_ties_have_one_winner() {
        assert_eq!(holder(&[Claim { wanted: false, ..claim("v1", 1) }], Some("v1")), None);
        assert_eq!(holder(&[], None), None);
        let tie = [claim("v1", 1), claim("v2", 1)];
        assert_eq!(holder(&tie, None), Some("v2"));
        assert_eq!(holder(&[tie[1].clone(), tie[0].clone()], None), Some("v2"));
    }
}
