//! Several places, what comes and goes, and how often AWS is asked.

use super::*;
use crate::control::{AwsErrorKind, CliToken, Described, Reply, WebToken};
use crate::names::{Directory, EntryId};
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

fn refused<'a, T: 'a>() -> Reply<'a, T> {
    Box::pin(async {
        Err(AwsError::new(
            AwsErrorKind::Denied,
            "not here",
            "ask somebody",
        ))
    })
}

impl ControlPlane for Cloud {
    fn create_cli_token<'a>(&'a self, _: &'a Environment) -> Reply<'a, CliToken> {
        refused()
    }

    fn create_web_login_token<'a>(&'a self, _: &'a Environment) -> Reply<'a, WebToken> {
        refused()
    }

    fn region<'a>(&'a self, environment: &'a Environment) -> Reply<'a, String> {
        let own = environment.region.as_ref().map(ToString::to_string);
        Box::pin(async { Ok(own.unwrap_or_else(|| "eu-west-1".to_owned())) })
    }

    fn list_environments<'a>(&'a self, any: &'a Environment) -> Reply<'a, Vec<String>> {
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

    fn get_environment<'a>(&'a self, _: &'a Environment) -> Reply<'a, Described> {
        refused()
    }
}

struct Stand {
    cloud: Arc<Cloud>,
    known: Arc<Known>,
    search: Arc<Discovery>,
    welcomed: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    fn new(places: &[Option<&str>], configured: Vec<Environment>) -> Self {
        let cloud = Arc::new(Cloud::default());
        let entries = (0..).map(EntryId).zip(configured);
        let entries = entries.map(|(id, one)| Arc::new(Entry::new(id, one)));
        let known = Arc::new(Known::new(Directory::new(entries.collect(), None)));
        let welcomed = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&welcomed);
        let search = Search {
            places: places.iter().map(|region| at(*region, "any")).collect(),
            default: None,
            limit: Duration::from_secs(5),
        };
        let plane: Arc<dyn ControlPlane> = Arc::<Cloud>::clone(&cloud);
        let search = Discovery::new(
            plane,
            Background::current(),
            search,
            Arc::clone(&known),
            Box::new(move |entry| {
                heard
                    .lock()
                    .unwrap()
                    .push(entry.environment.local.to_string());
            }),
        );
        Self {
            cloud,
            known,
            search,
            welcomed,
        }
    }

    /// Asks as if the last question were long ago.
    async fn asks(&self) {
        let long_ago = Moment::from_clocks(Duration::ZERO, Duration::ZERO);
        *self.search.asking.lock().await = Some(long_ago);
        self.search.look_again().await;
    }

    fn ids(&self) -> Vec<(String, u32)> {
        let directory = self.known.now();
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
    Environment {
        region: region.and_then(Region::new),
        ..Environment::new(EnvName::of_mwaa(name).unwrap(), name)
    }
}

#[tokio::test]
async fn a_place_that_is_denied_takes_nothing_from_the_others() {
    let stand = Stand::new(&[Some("eu-west-1"), Some("us-east-1")], Vec::new());
    stand.cloud.has("eu-west-1", &["prod", "test"]);
    stand.asks().await;
    assert_eq!(stand.locals(), ["prod", "test"]);
    let trouble = stand.search.trouble().unwrap();
    assert_eq!(trouble, "us-east-1: aws.denied: not here; ask somebody");
    let found: Vec<_> = stand
        .search
        .places()
        .iter()
        .map(|place| place.found)
        .collect();
    assert_eq!(found, [Some(2), None]);

    // later it answers, and another fails: what that one had stays
    stand.cloud.has("us-east-1", &["more"]);
    stand.cloud.denies("eu-west-1");
    stand.asks().await;
    assert_eq!(stand.locals(), ["more", "prod", "test"]);
    assert!(
        stand
            .search
            .trouble()
            .unwrap()
            .starts_with("eu-west-1: aws.denied")
    );
    assert_eq!(*stand.welcomed.lock().unwrap(), ["prod", "test", "more"]);
}

#[tokio::test]
async fn what_stays_keeps_its_id_and_what_has_gone_goes() {
    let stand = Stand::new(&[Some("eu-west-1"), Some("us-east-1")], Vec::new());
    stand.cloud.has("eu-west-1", &["prod", "test"]);
    stand.cloud.has("us-east-1", &[]);
    stand.asks().await;
    let first = stand.ids();
    let entry = Arc::clone(stand.known.now().find("test").unwrap());
    let gone = Arc::downgrade(stand.known.now().find("prod").unwrap());
    stand.cloud.has("eu-west-1", &["another", "test"]);
    stand.asks().await;
    assert_eq!(stand.ids(), [("another".to_owned(), 2), first[1].clone()]);
    assert!(Arc::ptr_eq(&entry, stand.known.now().find("test").unwrap()));

    assert!(gone.upgrade().is_none(), "nobody asks about it any more");

    // one that must tell its region from now on is the same one still
    stand.cloud.has("us-east-1", &["test"]);
    stand.cloud.has("eu-west-1", &["prod", "test"]);
    stand.asks().await;
    let wanted = [
        first[0].clone(),
        ("test-eu-west-1".to_owned(), first[1].1),
        ("test-us-east-1".to_owned(), 3),
    ];
    assert_eq!(stand.ids(), wanted, "and one that is back has its old id");
}

#[tokio::test]
async fn what_is_named_stays_first_and_is_not_doubled() {
    // the AWS chain's region is the place's
    let named = vec![at(None, "prod"), at(Some("us-east-1"), "test")];
    let stand = Stand::new(&[Some("eu-west-1")], named);
    stand.cloud.has("eu-west-1", &["prod", "rest", "test"]);
    stand.asks().await;
    assert_eq!(stand.locals(), ["prod", "test", "rest", "test-eu-west-1"]);
    assert!(stand.known.now().default_entry().is_none());
}

#[tokio::test]
async fn many_at_once_are_one_question_and_soon_after_none() {
    let stand = Stand::new(&[None], Vec::new());
    stand.cloud.has("eu-west-1", &["prod"]);
    join_all((0..20).map(|_| stand.search.look_again())).await;
    assert_eq!(
        (stand.questions(), stand.locals()),
        (1, vec!["prod".to_owned()])
    );
    stand.search.look_again().await;
    assert_eq!(stand.questions(), 1);
    stand.asks().await;
    assert_eq!(stand.questions(), 2);
    assert_eq!(
        stand.search.places()[0].region.as_deref(),
        Some("eu-west-1")
    );
}

#[tokio::test]
async fn callers_of_a_slow_aws_leave_no_task_behind() {
    let stand = Stand::new(&[None], Vec::new());
    stand.cloud.has("eu-west-1", &["prod"]);
    let silent = stand.cloud.silent.lock().await;
    for _ in 0..20 {
        let asking = stand.search.look_again();
        drop(tokio::time::timeout(Duration::ZERO, asking).await);
    }
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 1, "the question itself");

    // a caller that stays gets the answer
    let waiting = async {
        stand.search.look_again().await;
        assert_eq!(stand.locals(), ["prod"]);
    };
    tokio::join!(waiting, async { drop(silent) });
    assert_eq!(stand.questions(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_take_the_answer_along() {
    let stand = Stand::new(&[None], Vec::new());
    stand.cloud.has("eu-west-1", &["prod"]);
    let asking = stand.search.look_again();
    drop(tokio::time::timeout(Duration::ZERO, asking).await);
    while stand.locals().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_account_without_environments_is_trouble_only_if_nothing_is_named() {
    let stand = Stand::new(&[None], Vec::new());
    stand.cloud.has("eu-west-1", &[]);
    stand.asks().await;
    assert!(
        stand
            .search
            .trouble()
            .unwrap()
            .contains("no environment in this region")
    );
    assert!(!stand.search.state().is_enough(), "one may come");
    let stand = Stand::new(&[None], vec![at(None, "prod")]);
    stand.cloud.has("eu-west-1", &[]);
    stand.asks().await;
    assert_eq!(stand.search.trouble(), None);
    assert!(stand.search.state().is_enough());
}

#[tokio::test]
async fn after_a_failure_it_is_asked_again_sooner() {
    let seconds_ago = |seconds| {
        let (boot, wall) = (Moment::now().boot(), Moment::now().wall());
        let before = |clock: Duration| clock.checked_sub(Duration::from_secs(seconds)).unwrap();
        Some(Moment::from_clocks(before(boot), before(wall)))
    };
    let stand = Stand::new(&[None], Vec::new());
    stand.asks().await;
    assert!(stand.search.trouble().is_some(), "denied");
    *stand.search.asking.lock().await = seconds_ago(1);
    stand.search.look_again().await;
    assert_eq!(stand.questions(), 1);
    stand.cloud.has("eu-west-1", &["prod"]);
    *stand.search.asking.lock().await = seconds_ago(6);
    stand.search.look_again().await;
    assert_eq!(
        (stand.questions(), stand.locals()),
        (2, vec!["prod".to_owned()])
    );
    *stand.search.asking.lock().await = seconds_ago(6);
    stand.search.look_again().await;
    assert_eq!(stand.questions(), 2, "there is no trouble any more");
}
