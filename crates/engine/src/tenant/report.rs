//! Shows what is: to the views at once, to the platform only when it differs from what was published.

use jiff::Timestamp;
use redoubt_api::{Condition, ConditionType, Event, RedisStatus};
use tracing::{info, warn};

use super::Tenant;
use crate::{
    agents::Dial,
    look::Look,
    platform::{Platform, PlatformError, Publication},
    status::{Activity, status_for, unobserved},
};

impl<P: Platform, D: Dial> Tenant<P, D> {
    /// Takes up what was published before this task began, so that times and events go on.
    pub(super) async fn recall(&mut self) -> Result<(), PlatformError> {
        if self.published.is_none() {
            self.published = Some(self.gate.published(&self.key).await?.unwrap_or_default());
        }
        Ok(())
    }

    pub(super) async fn report(&mut self, look: &Look<'_>, activity: &Activity) -> Result<(), PlatformError> {
        let status = status_for(look, activity, &self.before());
        self.publish(status).await
    }

    /// A resource that was refused, and none before it that could go on.
    pub(super) async fn report_refused(&mut self, faults: &[String]) -> Result<(), PlatformError> {
        let message =
            format!("the resource was refused: {}; correct it and apply it again", faults.join("; "));
        self.publish(self.unseen("SpecRefused", &message)).await
    }

    /// As far as that is possible: the platform itself may be in trouble.
    pub(super) async fn report_trouble(&mut self, error: &PlatformError) {
        if let Err(error) = self.publish(self.unseen("PlatformError", &error.to_string())).await {
            warn!(redis = %self.key.name, %error, "the status is not published");
        }
    }

    /// As before, with the reason beside it, and an event if the reason is a new one.
    fn unseen(&self, reason: &str, message: &str) -> RedisStatus {
        let (before, at) = (self.before(), Timestamp::now());
        let is_known = |condition: &Condition| {
            condition.kind == ConditionType::Progressing && condition.message == message
        };
        let news = (!before.conditions.iter().any(is_known)).then(|| Event {
            at,
            source: self.key.name.clone(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            warning: true,
        });
        let events: Vec<Event> = self.events.iter().cloned().chain(news).collect();
        unobserved(&before, reason, message, &events, at)
    }

    async fn publish(&mut self, status: RedisStatus) -> Result<(), PlatformError> {
        self.show(&status);
        let before = self.before();
        if status == before {
            self.events.clear();
            return Ok(());
        }
        let news: Vec<Event> =
            status.events.iter().filter(|event| !before.events.contains(event)).cloned().collect();
        self.log(&news);
        let publication = Publication { status, events: news };
        self.gate.publish(&self.key, &publication).await?;
        self.published = Some(publication.status);
        self.events.clear();
        Ok(())
    }

    /// What the members did by themselves, beside what the engine does.
    fn log(&self, news: &[Event]) {
        let redis = &self.key.name;
        for Event { source, reason, message, warning, .. } in
            news.iter().filter(|event| event.source != *redis)
        {
            if *warning {
                warn!(%redis, node = %source, %reason, "{message}");
            } else {
                info!(%redis, node = %source, %reason, "{message}");
            }
        }
    }

    fn before(&self) -> RedisStatus {
        self.published.clone().unwrap_or_default()
    }
}
