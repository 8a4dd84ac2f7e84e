//! What AWS says when it denies a call: who, what, on which resource, and by which policy (IAM User
//! Guide, "Troubleshoot access denied error messages").

/// A denial in AWS's words, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denial<'a> {
    pub(super) action: &'a str,
    pub(super) resource: Option<&'a str>,
    because: Because<'a>,
}

/// Why it was denied.
#[derive(Debug, PartialEq, Eq)]
enum Because<'a> {
    /// A policy says no, which no other policy can change: its kind, and its ARN where AWS tells it.
    Denied(&'a str, Option<&'a str>),
    /// A policy that bounds what others allow does not allow it.
    Bounded(&'a str),
    /// Nothing allows it.
    Unallowed,
}

impl<'a> Denial<'a> {
    /// Reads AWS's message, if it is one of these.
    pub(super) fn read(message: &'a str) -> Option<Self> {
        let action = word_after(message, "not authorized to perform: ")?;
        let resource = word_after(message, "on resource: ");
        let because = if let Some(rest) = after(message, "explicit deny") {
            let policy = rest.strip_prefix(" in ");
            let arn = policy.and_then(|policy| word_after(policy, ": "));
            Because::Denied(
                policy.map_or("a policy", |policy| kind(policy, "")),
                arn.filter(|arn| arn.starts_with("arn:")),
            )
        } else if let Some(policy) = after(message, "because no ") {
            let kind = kind(policy, " allows");
            if ["identity-based policy", "resource-based policy"].contains(&kind) {
                Because::Unallowed
            } else {
                Because::Bounded(kind)
            }
        } else {
            Because::Unallowed
        };
        Some(Self {
            action,
            resource,
            because,
        })
    }

    /// What to do about it. `place` stands in for a resource that AWS does not name.
    pub(super) fn advice(&self, place: &str) -> String {
        let (action, on) = (self.action, self.resource.unwrap_or(place));
        match self.because {
            Because::Denied(policy, arn) => format!(
                "no further allow helps, because {policy}{} denies it: ask {} to leave {action} on {on} out of that",
                arn.map_or_else(String::new, |arn| format!(" ({arn})")),
                keeper(policy)
            ),
            Because::Bounded("role trust policy") => {
                format!("add this identity to the trust policy of {on}")
            }
            Because::Bounded(policy) => format!(
                "an allow for this identity does not help, because the {policy} leaves {action} out: ask {} to \
                 allow it on {on} there",
                keeper(policy)
            ),
            Because::Unallowed if action == "sts:AssumeRole" => format!(
                "allow sts:AssumeRole on {on} for the identity that assumes it, and name that identity in the \
                 role's trust policy"
            ),
            Because::Unallowed if action.starts_with("sts:") => {
                format!("name this identity, with {action}, in the trust policy of {on}")
            }
            Because::Unallowed => format!("allow {action} on {on} for this identity"),
        }
    }

    /// Whether the organization denies it, whatever the identity shows.
    pub(super) fn is_organization_s(&self) -> bool {
        matches!(self.because, Because::Denied(policy, _) if keeper(policy) == ORGANIZATION)
    }
}

const ORGANIZATION: &str = "whoever manages your AWS organization";

/// Who can change a policy of this kind.
fn keeper(policy: &str) -> &'static str {
    let has = |word: &str| policy.contains(word);
    if has("service control") || has("resource control") {
        ORGANIZATION
    } else if has("boundary") {
        "whoever set this identity's permissions boundary"
    } else if has("endpoint") {
        "whoever manages the VPC endpoint"
    } else if has("session") {
        "whoever set the session policy (for SSO: the permission set)"
    } else {
        "whoever manages that policy"
    }
}

/// The kind of a policy, up to these words, a colon or a full stop.
fn kind<'a>(text: &'a str, end: &str) -> &'a str {
    let text = match text.split_once(end) {
        Some((kind, _)) if !end.is_empty() => kind,
        _ => text,
    };
    let text = text.split([':', '.', ',', ';']).next().unwrap_or(text);
    // a message that is not as it should be makes no endless hint
    text.get(..60).unwrap_or(text).trim()
}

fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.split_once(words).map(|(_, rest)| rest)
}

fn word_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let word = after(text, words)?.split_whitespace().next()?;
    let word = word.trim_end_matches(['.', ',', ';']);
    (!word.is_empty() && word.len() < LONGEST_WORD).then_some(word)
}

/// ARNs are at most 2048 bytes; MWAA's are far shorter.
const LONGEST_WORD: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: &str =
        "User: arn:aws:sts::123456789012:assumed-role/Ops/ann is not authorized to perform:";
    const ROLE: &str = "arn:aws:airflow:eu-west-1:123456789012:role/prod/Admin";

    fn advice(rest: &str) -> String {
        let message = format!("{WHO} {rest}");
        Denial::read(&message).expect("a denial").advice("PLACE")
    }

    #[test]
    fn the_resource_that_aws_names_is_named() {
        let web = "airflow:CreateWebLoginToken";
        let told = format!("allow {web} on {ROLE} for this identity");
        for end in [
            "",
            " because no identity-based policy allows the airflow:CreateWebLoginToken action",
        ] {
            assert_eq!(advice(&format!("{web} on resource: {ROLE}{end}")), told);
        }
        let unnamed = advice("airflow:GetEnvironment");
        assert_eq!(
            unnamed,
            "allow airflow:GetEnvironment on PLACE for this identity"
        );
    }

    #[test]
    fn where_an_allow_does_not_help_the_hint_says_whom_to_ask() {
        let web = format!("airflow:CreateWebLoginToken on resource: {ROLE}");
        for (end, expected) in [
            (
                "with an explicit deny in a service control policy",
                ["no further allow helps", "your AWS organization"],
            ),
            (
                "with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/No",
                [
                    "an identity-based policy (arn:aws:iam::1:policy/No) denies it",
                    "manages that policy",
                ],
            ),
            (
                "because no permissions boundary allows the airflow:CreateWebLoginToken action",
                [
                    "does not help, because the permissions boundary",
                    "permissions boundary to allow",
                ],
            ),
            (
                "because no VPC endpoint policy allows the airflow:CreateWebLoginToken action",
                ["the VPC endpoint policy leaves", "manages the VPC endpoint"],
            ),
        ] {
            let told = advice(&format!("{web} {end}"));
            for part in expected {
                assert!(told.contains(part), "{end}: {told}");
            }
            assert!(told.contains(ROLE), "{told}");
        }
    }

    #[test]
    fn a_role_that_may_not_be_assumed_is_about_the_role() {
        let role = "arn:aws:iam::123456789012:role/x";
        let told = advice(&format!("sts:AssumeRole on resource: {role}"));
        assert!(
            told.contains("trust policy") && told.contains(role),
            "{told}"
        );
        let told = advice(&format!(
            "sts:AssumeRole on resource: {role} because no role trust policy allows the sts:AssumeRole action"
        ));
        assert_eq!(
            told,
            format!("add this identity to the trust policy of {role}")
        );
        let told = advice("sts:AssumeRoleWithWebIdentity");
        assert!(
            told.contains("sts:AssumeRoleWithWebIdentity, in the trust policy"),
            "{told}"
        );
    }

    #[test]
    fn a_policy_that_denies_is_named_by_its_arn() {
        let arn = "arn:aws:organizations::1:policy/o-x/service_control_policy/p-x";
        let scp = format!(
            "sts:AssumeRole on resource: {ROLE} with an explicit deny in a service control policy"
        );
        let told = advice(&format!("{scp}: {arn}"));
        assert!(
            told.contains(&format!(
                "because a service control policy ({arn}) denies it"
            )),
            "{told}"
        );
        assert!(!advice(&format!("{scp}.")).contains("(arn"), "{told}");
        // AWS does not always say where
        let told = advice(&format!(
            "airflow:X on resource: {ROLE} with an explicit deny"
        ));
        assert!(
            told.contains("no further allow helps, because a policy denies it"),
            "{told}"
        );
    }

    #[test]
    fn another_text_is_no_denial() {
        for text in [
            "",
            "Access Denied",
            "not authorized to perform: ",
            &"x".repeat(900),
        ] {
            assert_eq!(Denial::read(text), None, "{text}");
        }
        let long = format!("{WHO} airflow:X on resource: {}", "x".repeat(900));
        assert_eq!(Denial::read(&long).expect("a denial").resource, None);
    }
}
