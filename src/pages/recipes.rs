//! Lines to copy: how tools reach an environment through the gateway.

use super::card::Card;
use maud::{Markup, html};

/// The lines for one environment, folded away until somebody wants them.
pub(super) fn recipes(card: &Card) -> Markup {
    html! {
        details.recipes {
            summary { "Use it from a script" }
            @for recipe in &lines(card) {
                div.recipe {
                    div.over {
                        h3 { (recipe.title) }
                        button type="button" data-copy=(recipe.id) hidden
                            aria-label={ "Copy: " (recipe.title) ", " (card.local) } { "Copy" }
                    }
                    pre tabindex="0" { code id=(recipe.id) { (recipe.text) } }
                }
            }
        }
    }
}

struct Recipe {
    id: String,
    title: &'static str,
    text: String,
}

/// Airflow 2 speaks `/api/v1`, Airflow 3 `/api/v2`; Airflow 1 has no REST API that MWAA opens.
fn lines(card: &Card) -> Vec<Recipe> {
    let base = &card.base;
    let major = card.airflow.map(|version| version.major);
    let (command, api) = match major {
        Some(1) => ("list_dags", None),
        Some(2) => ("dags list", Some("/api/v1")),
        Some(_) => ("dags list", Some("/api/v2")),
        None => ("version", None),
    };
    let recipe = |tag: &str, title, text| Recipe {
        id: format!("recipe-{}-{tag}", card.local),
        title,
        text,
    };
    let cli = format!(
        "curl -sS {base}/aws_mwaa/cli \\\n  -H 'Content-Type: text/plain' -H 'Accept: text/plain' \\\n  \
         -d '{command}'"
    );
    let mut python = format!(
        "import requests\n\nplain = {{\"Content-Type\": \"text/plain\", \"Accept\": \"text/plain\"}}\n\
         cli = \"{base}/aws_mwaa/cli\"\n\
         print(requests.post(cli, headers=plain, data=\"{command}\").text)"
    );
    let mut found = vec![recipe("cli", "An Airflow command, with curl", cli)];
    if let Some(api) = api {
        let rest = format!("curl -sS '{base}{api}/dags?limit=10'");
        found.push(recipe("rest", "The REST API, with curl", rest));
        let call = format!(
            "\n\ndags = \"{base}{api}/dags\"\nprint(requests.get(dags, params={{\"limit\": 10}}).json())"
        );
        python.push_str(&call);
    }
    found.push(recipe("python", "The same in Python", python));
    found
}
