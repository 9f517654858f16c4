//! Who is told of what happens: how a letter is put for each of them, and what their answers mean.
//!
//! A notifier is data: it makes of a letter what is to be sent, and of the answer a [`Receipt`]; it performs nothing
//! and never sends twice. What is sent names the letter by an id that stays the same however often it is sent.
//!
//! A new notifier is a file with its settings and its words, recorded exchanges, and one row in `notifiers!`.

pub mod discord;
pub mod email;
pub mod events;
pub mod opsgenie;
pub mod pubsub;
pub mod slack;
pub mod teams;
pub mod telegram;
pub mod webhook;

mod answer;
mod links;
mod secret_url;
mod words;

use std::fmt;

use refit_core::key::Hash128;
use refit_core::notice::{Letter, Notice, NoticeKind, Receipt};
use refit_core::template::Template;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::{Reply, Secret};
use crate::outgoing::Outgoing;

pub use links::Links;
use words::Words;
pub use words::sample;

/// A letter on its way.
#[derive(Clone, Debug)]
pub struct Sending {
    /// What is to be sent.
    pub outgoing: Outgoing,
    /// What the answer means.
    pub read: fn(Reply) -> Receipt,
}

/// A letter as it is told.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// Its id: the same however often it is sent.
    pub id: Hash128,
    /// The id of the ledger.
    pub ledger: &'a str,
    /// What is in it.
    pub letter: &'a Letter,
    /// It in a line.
    pub title: &'a str,
    /// It in full, the title not among it.
    pub text: &'a str,
}

/// A way to tell somebody.
pub trait Notifier: fmt::Debug + Send + Sync {
    /// What is to be sent.
    fn tell(&self, telling: &Telling<'_>) -> Sending;
}

/// How a kind of notifier is used, in words: a row of `docs/notifications.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// What is sent where.
    pub sends: &'static str,
    /// How the id of a letter shows.
    pub id: &'static str,
    /// What is cut off, and where.
    pub limit: &'static str,
    /// Answers after which a letter is given up at once.
    pub refused: &'static str,
    /// Whether it is for programs: it is told of other kinds where a rule does not say, and nothing is gathered.
    pub is_for_programs: bool,
}

/// The settings of one kind of notifier.
trait Settings: DeserializeOwned + JsonSchema {
    /// How it is used, in words.
    const ABOUT: About;

    /// The notifier, or what is wrong with its settings.
    fn open(&self) -> Result<Box<dyn Notifier>, String>;
}

/// Makes the kinds of notifiers from one row each: the variant and the module, which is also the word in a rule file.
macro_rules! notifiers {
    ($($(#[$doc:meta])* $kind:ident: $module:ident,)*) => {
        /// A notifier in a rule file: one kind, and its settings.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum NotifierConfig {
            $($(#[$doc])* $kind(Box<$module::Config>),)*
        }

        impl NotifierConfig {
            /// The kind, as it is written in a rule file.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($module),)*
                }
            }

            /// Opens the notifier. Nothing is sent.
            ///
            /// # Errors
            /// Says what is wrong with the settings.
            pub fn open(&self) -> Result<Box<dyn Notifier>, String> {
                match self {
                    $(Self::$kind(config) => config.open(),)*
                }
            }

            /// How this one is used, in words.
            #[must_use]
            pub fn used(&self) -> About {
                match self {
                    $(Self::$kind(_) => <$module::Config as Settings>::ABOUT,)*
                }
            }

            /// How each kind is used, in words.
            #[must_use]
            pub fn about() -> Vec<(&'static str, About)> {
                vec![$((stringify!($module), <$module::Config as Settings>::ABOUT),)*]
            }

            /// The schemas of the settings, with the kind of notifier each is for.
            pub fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
                vec![$((stringify!($module), generator.subschema_for::<$module::Config>()),)*]
            }
        }
    };
}

notifiers! {
    /// A channel of Slack.
    Slack: slack,
    /// A channel of Microsoft Teams.
    Teams: teams,
    /// A channel of Discord.
    Discord: discord,
    /// A chat of Telegram.
    Telegram: telegram,
    /// Alerts of Opsgenie.
    Opsgenie: opsgenie,
    /// Mail.
    Email: email,
    /// Any program that takes JSON over HTTP.
    Webhook: webhook,
    /// Any program that reads JSON from a topic of Pub/Sub.
    Pubsub: pubsub,
    /// CloudEvents, by HTTP or through a topic of Pub/Sub.
    Events: events,
}

/// Somebody to be told, as a rule file has it.
#[derive(Debug)]
pub struct Teller {
    notifier: Box<dyn Notifier>,
    text: Option<Template>,
    links: Option<Links>,
}

impl Teller {
    /// A teller that puts each notice in the words of a template, or in the usual ones.
    #[must_use]
    pub fn new(notifier: Box<dyn Notifier>, text: Option<Template>) -> Self {
        Self { notifier, text, links: None }
    }

    /// The same, and a person's own: what waits for that person's approval is told with a link.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { links: Some(links), ..self }
    }

    /// The secret that must be known to tell a letter; none where it has no links.
    #[must_use]
    pub fn secret(&self, letter: &Letter) -> Option<&Secret> {
        let links = self.links.as_ref()?;
        let mut notices = letter.notices.iter();
        notices.any(|notice| links.are_for(notice)).then(|| links.secret())
    }

    /// What is to be sent for a letter of a ledger, with links where their secret is given, and with it how they name
    /// the ledger.
    #[must_use]
    pub fn tell(
        &self,
        ledger: &str,
        id: Hash128,
        letter: &Letter,
        signed: Option<(&str, Hash128)>,
    ) -> Sending {
        let link = |notice: &Notice| self.links.as_ref()?.of(notice, signed?);
        let Words { title, text } = Words::of(ledger, letter, self.text.as_ref(), &link);
        self.notifier.tell(&Telling { id, ledger, letter, title: &title, text: &text })
    }
}

/// The kinds of notices a notifier tells where the rule does not say.
#[must_use]
pub fn usual(about: &About) -> &'static [NoticeKind] {
    if about.is_for_programs { NoticeKind::EVENTS } else { NoticeKind::ALARMS }
}
