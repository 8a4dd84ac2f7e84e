//! Several places, what comes and goes, and how often AWS is asked.

use super::*;
use crate::aws::{
    ApiFuture, AwsErrorKind, MintedCliToken, MintedWebToken, RestApiError, RestApiFuture,
    RestApiRequest,
};
use bytes::Bytes;
use mwaa_model::{Directory, EntryId, EnvironmentInfo};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An AWS with some environments in each region; a region that is not there denies.
#[derive(Debug, Default)]
struct Cloud {
    regions: Mutex<BTreeMap<String, Vec<String>>>,
    questions: AtomicUsize,
    /// AWS does not answer while this is held.
    silent: AsyncMutex<()>,
}

impl Cloud {
    fn has(&self, region: &str, names: &[&str]) {
        let names = names.iter().map(ToString::to_string).collect();
        self.regions
            .lock()
            .unwrap()
            .insert(region.to_owned(), names);
    }

    fn denies(&self, region: &str) {
        self.regions.lock().unwrap().remove(region);
    }
}

fn refused<'a, T: 'a>() -> ApiFuture<'a, T> {
    Box::pin(async {
        Err(AwsError::new(
            AwsErrorKind::Denied,
            "not here",
            "ask somebody",
        ))
    })
}

impl MwaaApi for Cloud {
    fn create_cli_token<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, MintedCliToken> {
        refused()
    }

    fn create_web_login_token<'a>(
        &'a self,
        _: &'a Environment,
    ) -> ApiFuture<'a, MintedWebToken> {
        refused()
    }

    fn invoke_rest_api<'a>(
        &'a self,
        _: &'a Environment,
        _: &'a RestApiRequest,
    ) -> RestApiFuture<'a> {
        Box::pin(async { refused().await.map_err(RestApiError::Refused) })
    }

    fn region<'a>(&'a self, environment: &'a Environment) -> ApiFuture<'a, String> {
        let own = environment.region.as_ref().map(ToString::to_string);
        Box::pin(async { Ok(own.unwrap_or_else(|| "eu-west-1".to_owned())) })
    }

    fn list_environments<'a>(&'a self, any: &'a Environment) -> ApiFuture<'a, Vec<String>> {
        Box::pin(async {
            self.questions.fetch_add(1, Ordering::Relaxed);
            drop(self.silent.lock().await);
            let region = self.region(any).await?;
            let names = self.regions.lock().unwrap().get(&region).cloned();
            match names {
                Some(names) => Ok(names),
                None => refused().await,
            }
        })
    }

    fn describe_environment<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, Bytes> {
        refused()
    }

    fn get_environment<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, EnvironmentInfo> {
        refused()
    }
}

struct World {
    cloud: Arc<Cloud>,
    known: Arc<Registry>,
    discovery: Arc<Discovery>,
    new_entries: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new(places: &[Option<&str>], configured: Vec<Environment>) -> Self {
        let cloud = Arc::new(Cloud::default());
        let entries = (0..).map(EntryId).zip(configured);
        let entries = entries.map(|(id, one)| Arc::new(Entry::new(id, one)));
        let known = Arc::new(Registry::new(Directory::new(entries.collect(), None)));
        let new_entries = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&new_entries);
        let settings = DiscoverySettings {
            places: places.iter().map(|region| at(*region, "any")).collect(),
            default: None,
            limit: Duration::from_secs(5),
        };
        let api: Arc<dyn MwaaApi> = Arc::<Cloud>::clone(&cloud);
        let discovery = Discovery::new(
            api,
            BackgroundTasks::current(),
            settings,
            Arc::clone(&known),
            Box::new(move |entry| {
                seen.lock()
                    .unwrap()
                    .push(entry.environment.local.to_string());
            }),
        );
        Self {
            cloud,
            known,
            discovery,
            new_entries,
        }
    }

    /// Asks as if the last question were long ago.
    async fn asks(&self) {
        let long_ago = Timestamp::from_clocks(Duration::ZERO, Duration::ZERO);
        *self.discovery.asking.lock().await = Some(long_ago);
        self.discovery.refresh().await;
    }

    fn ids(&self) -> Vec<(String, u32)> {
        let directory = self.known.snapshot();
        let pair = |entry: &Arc<Entry>| (entry.environment.local.to_string(), entry.id.0);
        directory.entries().iter().map(pair).collect()
    }

    fn locals(&self) -> Vec<String> {
        self.ids().into_iter().map(|(local, _)| local).collect()
    }

    fn questions(&self) -> usize {
        self.cloud.questions.load(Ordering::Relaxed)
    }
}

fn at(region: Option<&str>, name: &str) -> Environment {
    let local = name.to_ascii_lowercase().replace('_', "-");
    Environment {
        region: region.and_then(Region::new),
        ..Environment::new(EnvName::new(&local).unwrap(), name)
    }
}

#[tokio::test]
async fn a_denied_region_does_not_affect_the_others() {
    let world = World::new(&[Some("eu-west-1"), Some("us-east-1")], Vec::new());
    world.cloud.has("eu-west-1", &["prod", "test"]);
    world.asks().await;
    assert_eq!(world.locals(), ["prod", "test"]);
    let trouble = world.discovery.trouble().unwrap();
    assert_eq!(trouble, "us-east-1: aws.denied: not here; ask somebody");
    let found: Vec<_> = world
        .discovery
        .places()
        .iter()
        .map(|place| place.found)
        .collect();
    assert_eq!(found, [Some(2), None]);

    // later it answers, and another fails: what that one had stays
    world.cloud.has("us-east-1", &["more"]);
    world.cloud.denies("eu-west-1");
    world.asks().await;
    assert_eq!(world.locals(), ["more", "prod", "test"]);
    assert!(
        world
            .discovery
            .trouble()
            .unwrap()
            .starts_with("eu-west-1: aws.denied")
    );
    assert_eq!(*world.new_entries.lock().unwrap(), ["prod", "test", "more"]);
}

#[tokio::test]
async fn an_environment_keeps_its_id_until_it_is_removed() {
    let world = World::new(&[Some("eu-west-1"), Some("us-east-1")], Vec::new());
    world.cloud.has("eu-west-1", &["prod", "test"]);
    world.cloud.has("us-east-1", &[]);
    world.asks().await;
    let first = world.ids();
    let entry = Arc::clone(world.known.snapshot().find("test").unwrap());
    let gone = Arc::downgrade(world.known.snapshot().find("prod").unwrap());
    world.cloud.has("eu-west-1", &["another", "test"]);
    world.asks().await;
    assert_eq!(world.ids(), [("another".to_owned(), 2), first[1].clone()]);
    assert!(Arc::ptr_eq(
        &entry,
        world.known.snapshot().find("test").unwrap()
    ));

    assert!(gone.upgrade().is_none(), "no one asks about it any more");

    // one whose name has its region from now on is still the same one
    world.cloud.has("us-east-1", &["test"]);
    world.cloud.has("eu-west-1", &["prod", "test"]);
    world.asks().await;
    let wanted = [
        first[0].clone(),
        ("test-eu-west-1".to_owned(), first[1].1),
        ("test-us-east-1".to_owned(), 3),
    ];
    assert_eq!(world.ids(), wanted, "and one that is back has its old id");
}

#[tokio::test]
async fn configured_environments_stay_first_and_are_listed_once() {
    // the AWS chain's region is the place's
    let named = vec![at(None, "prod"), at(Some("us-east-1"), "test")];
    let world = World::new(&[Some("eu-west-1")], named);
    world.cloud.has("eu-west-1", &["prod", "rest", "test"]);
    world.asks().await;
    assert_eq!(world.locals(), ["prod", "test", "rest", "test-eu-west-1"]);
    assert!(world.known.snapshot().default_entry().is_none());
}

#[tokio::test]
async fn concurrent_refreshes_share_one_call_and_repeats_are_held_back() {
    let world = World::new(&[None], Vec::new());
    world.cloud.has("eu-west-1", &["prod"]);
    join_all((0..20).map(|_| world.discovery.refresh())).await;
    assert_eq!(
        (world.questions(), world.locals()),
        (1, vec!["prod".to_owned()])
    );
    world.discovery.refresh().await;
    assert_eq!(world.questions(), 1);
    world.asks().await;
    assert_eq!(world.questions(), 2);
    assert_eq!(
        world.discovery.places()[0].region.as_deref(),
        Some("eu-west-1")
    );
}

#[tokio::test]
async fn callers_that_give_up_share_one_task() {
    let world = World::new(&[None], Vec::new());
    world.cloud.has("eu-west-1", &["prod"]);
    let silent = world.cloud.silent.lock().await;
    for _ in 0..20 {
        let asking = world.discovery.refresh();
        drop(tokio::time::timeout(Duration::ZERO, asking).await);
    }
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 1, "the question itself");

    // a caller that stays gets the answer
    let waiting = async {
        world.discovery.refresh().await;
        assert_eq!(world.locals(), ["prod"]);
    };
    tokio::join!(waiting, async { drop(silent) });
    assert_eq!(world.questions(), 1);
}

#[tokio::test]
async fn a_refresh_completes_after_its_caller_is_gone() {
    let world = World::new(&[None], Vec::new());
    world.cloud.has("eu-west-1", &["prod"]);
    let asking = world.discovery.refresh();
    drop(tokio::time::timeout(Duration::ZERO, asking).await);
    while world.locals().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_empty_account_is_an_issue_only_if_nothing_is_configured() {
    let world = World::new(&[None], Vec::new());
    world.cloud.has("eu-west-1", &[]);
    world.asks().await;
    assert!(
        world
            .discovery
            .trouble()
            .unwrap()
            .contains("no environment in this region")
    );
    assert!(!world.discovery.state().is_enough(), "one may come");
    let world = World::new(&[None], vec![at(None, "prod")]);
    world.cloud.has("eu-west-1", &[]);
    world.asks().await;
    assert_eq!(world.discovery.trouble(), None);
    assert!(world.discovery.state().is_enough());
}

#[tokio::test]
async fn a_failed_refresh_is_retried_sooner() {
    let seconds_ago = |seconds| {
        let (boot, wall) = (Timestamp::now().boot(), Timestamp::now().wall());
        let before = |clock: Duration| clock.checked_sub(Duration::from_secs(seconds)).unwrap();
        Some(Timestamp::from_clocks(before(boot), before(wall)))
    };
    let world = World::new(&[None], Vec::new());
    world.asks().await;
    assert!(world.discovery.trouble().is_some(), "denied");
    *world.discovery.asking.lock().await = seconds_ago(1);
    world.discovery.refresh().await;
    assert_eq!(world.questions(), 1);
    world.cloud.has("eu-west-1", &["prod"]);
    *world.discovery.asking.lock().await = seconds_ago(6);
    world.discovery.refresh().await;
    assert_eq!(
        (world.questions(), world.locals()),
        (2, vec!["prod".to_owned()])
    );
    *world.discovery.asking.lock().await = seconds_ago(6);
    world.discovery.refresh().await;
    assert_eq!(world.questions(), 2, "there is no trouble any more");
}
