//! The SDK's order, on files and variables that stand in memory.

use super::*;

async fn found(variables: &[(&str, &str)], config: &str, named: Option<&str>) -> Source {
    let mut env = vec![("HOME", "/home/ann")];
    env.extend(variables);
    let fs = Fs::from_slice(&[("/home/ann/.aws/config", config)]);
    Origin::look(&Env::from_slice(&env), &fs, named)
        .await
        .source
}

fn sso(profile: Option<&str>) -> Source {
    Source::SignIn(SignIn::Sso(profile.map(str::to_owned)))
}

const CONFIG: &str = "[default]\nsso_start_url = u\nsso_region = r\nsso_account_id = 1\nsso_role_name = n\n\
    [profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n\
    [profile own]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = own\nlogin_session = arn:x\n\
    [profile keys]\naws_access_key_id = AKIA\naws_secret_access_key = x\nrole_arn = arn:aws:iam::1:role/z\n\
    source_profile = role\n[profile onkeys]\nrole_arn = arn:aws:iam::1:role/y\nsource_profile = keys\n";

#[tokio::test]
async fn the_sdk_s_order_is_kept() {
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    let environment = Source::Environment { lacks_token: false };
    assert_eq!(found(&keys, CONFIG, None).await, environment);
    // a profile by name goes before keys in the environment
    assert_eq!(found(&keys, CONFIG, Some("default")).await, sso(None));
    assert_eq!(found(&[], CONFIG, None).await, sso(None));
    assert_eq!(found(&[], CONFIG, Some("role")).await, sso(None));
    // where another profile is set, the AWS CLI would not take the default one
    let set = [("AWS_PROFILE", "role")];
    assert_eq!(found(&set, CONFIG, None).await, sso(Some("default")));
    let login = SignIn::Login(Some("own".to_owned()));
    assert_eq!(found(&[], CONFIG, Some("own")).await, Source::SignIn(login));
    // keys of a profile that is another's source go before its own role
    let found_keys = found(&[], CONFIG, Some("onkeys")).await;
    assert!(matches!(found_keys, Source::Keys { profile, .. } if profile == "keys"));
    assert_eq!(found(&[], CONFIG, Some("keys")).await, sso(None));
}

/// As the SDK takes them.
#[tokio::test]
async fn an_empty_variable_is_none() {
    let empty = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", " ")];
    assert_eq!(found(&empty, CONFIG, None).await, sso(None));
    let temporary = [
        ("AWS_ACCESS_KEY_ID", "ASIA"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_SESSION_TOKEN", ""),
    ];
    let lacking = Source::Environment { lacks_token: true };
    assert_eq!(found(&temporary, CONFIG, None).await, lacking);
}

#[tokio::test]
async fn a_web_identity_takes_its_role() {
    let file = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/x");
    let identity = |lacks_role| Source::WebIdentity {
        file: "/x".to_owned(),
        lacks_role,
    };
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x");
    assert_eq!(found(&[file, role], "", None).await, identity(false));
    assert_eq!(found(&[file], "", None).await, identity(true));
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost");
    assert_eq!(found(&[file, container], "", None).await, Source::Container);
}

#[tokio::test]
async fn a_file_that_can_t_be_read_is_named_with_the_line() {
    let Source::Unreadable(why) = found(&[], "[default]\nnonsense\n", None).await else {
        panic!("read");
    };
    assert!(
        why.contains(".aws/config") && why.contains("line 2"),
        "{why}"
    );
    assert!(!why.contains('\n'), "{why}");
}

#[tokio::test]
async fn without_a_profile_the_machine_is_asked() {
    for (variable, source) in [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Source::Container),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            Source::WebIdentity {
                file: "/x".to_owned(),
                lacks_role: true,
            },
        ),
        ("UNRELATED", Source::Nothing),
    ] {
        assert_eq!(found(&[(variable, "/x")], "", None).await, source);
    }
}

#[tokio::test]
async fn roles_are_in_the_order_in_which_they_are_assumed() {
    let fs = Fs::from_slice(&[("/home/ann/.aws/config", CONFIG)]);
    let env = Env::from_slice(&[("HOME", "/home/ann")]);
    let origin = Origin::look(&env, &fs, Some("keys")).await;
    assert_eq!(
        origin.roles,
        ["arn:aws:iam::1:role/x", "arn:aws:iam::1:role/z"]
    );
    let origin = Origin::look(&env, &fs, Some("onkeys")).await;
    assert_eq!(origin.roles, ["arn:aws:iam::1:role/y"]);
}
