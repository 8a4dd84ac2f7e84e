//! The regions that AWS has: for hints only, since new ones are added.

use mwaa_model::find_nearest;

/// Returns the hint for a region that is unknown here; `None` if it is known.
pub(super) fn unknown_region(region: &str) -> Option<String> {
    if REGIONS.contains(&region) {
        return None;
    }
    let unknown = format!("AWS has no region {region:?} that this version knows");
    // a region that is new since this version has the same message, so it is worded as a doubt
    Some(match find_nearest(region, REGIONS.iter().copied()) {
        Some(near) => format!("{unknown}; did you mean {near}?"),
        None => format!("{unknown}; correct aws.region, --region or AWS_REGION"),
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
    use super::unknown_region;

    #[test]
    fn a_mistyped_region_is_unknown() {
        assert_eq!(unknown_region("eu-west-1"), None);
        for (typed, nearest) in [("eu-west-11", "eu-west-1?"), ("us-est-1", "us-east-1?")] {
            assert!(
                unknown_region(typed).is_some_and(|hint| hint.ends_with(nearest)),
                "{typed}"
            );
        }
        assert!(unknown_region("mars").is_some_and(|hint| hint.contains("--region")));
    }
}
