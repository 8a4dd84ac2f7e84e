//! The regions that AWS has: for hints only, since new ones come.

use crate::names::nearest;

/// What to say of a region whose names do not resolve, if it is none that is known.
pub(super) fn doubt(region: &str) -> Option<String> {
    if REGIONS.contains(&region) {
        return None;
    }
    let doubt = format!("AWS has no region {region:?} that this version knows");
    Some(match nearest(region, REGIONS.iter().copied()) {
        Some(near) => format!("{doubt}; did you mean {near}?"),
        None => format!("{doubt}; correct aws.region, --region or AWS_REGION"),
    })
}

/// General Reference, "AWS service endpoints".
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

#[cfg(test)]
mod tests {
    use super::doubt;

    #[test]
    fn a_mistyped_region_is_doubted() {
        assert_eq!(doubt("eu-west-1"), None);
        for (typed, meant) in [("eu-west-11", "eu-west-1?"), ("us-est-1", "us-east-1?")] {
            assert!(
                doubt(typed).is_some_and(|told| told.ends_with(meant)),
                "{typed}"
            );
        }
        assert!(doubt("mars").is_some_and(|told| told.contains("--region")));
    }
}
