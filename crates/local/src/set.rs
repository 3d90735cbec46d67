//! One set that is looked after: its identity, its files, its minders.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use redoubt_api::CheckedRedis;
use redoubt_engine::platform::{Identity, Member, MemberKind, Workload};
use redoubt_wire::secrets::{SecretsError, generate_missing};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    address::Claim,
    ending::Way,
    error::LocalError,
    files::{self, Worth},
    given::settle_secrets,
    identity::KeptIdentity,
    launch::{AgentRecord, Launch, Wish},
    minder::{Minder, Standing},
    names::{member_name, parse_member},
    nudges::Nudges,
    paths::{SetDir, StateDir},
    roster::Roster,
};

/// What is the same for all sets.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) state: StateDir,
    /// The agent's program.
    pub(crate) executable: PathBuf,
    pub(crate) single_address: bool,
    pub(crate) nudges: Nudges,
}

/// One set that is looked after.
#[derive(Debug)]
pub(crate) struct Set {
    common: Arc<Common>,
    name: String,
    dir: SetDir,
    identity: Mutex<Option<(KeptIdentity, Option<Claim>)>>,
    minders: Mutex<BTreeMap<(MemberKind, u32), Arc<Minder>>>,
    redis: Mutex<Option<CheckedRedis>>,
    /// Why the password that the resource names cannot be used, as it was found last.
    unfit: Mutex<Option<String>>,
    /// Held while something is changed: one change at a time.
    pub(crate) work: tokio::sync::Mutex<()>,
}

/// What becomes of the data when the resource is deleted (`volume.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VolumePolicy {
    pub(crate) keep_after_deletion: bool,
}

impl VolumePolicy {
    /// As the resource says.
    pub(crate) fn of(redis: &CheckedRedis) -> Self {
        Self { keep_after_deletion: redis.spec.persistence.volume.keep_after_deletion }
    }

    pub(crate) fn keep(self, dir: &SetDir) -> Result<(), LocalError> {
        files::write_json(&dir.volume(), &self, Worth::Lasting).map(|_| ())
    }

    /// Without a note the data is kept.
    pub(crate) fn load(dir: &SetDir) -> Result<Self, LocalError> {
        Ok(files::read_json(&dir.volume())?.unwrap_or(Self { keep_after_deletion: true }))
    }
}

impl Set {
    /// Reads what is there of a set, and adopts its agents. Those that have ended are started again if `revived`.
    pub(crate) fn load(common: &Arc<Common>, name: &str, revived: bool) -> Result<Self, LocalError> {
        let dir = common.state.set(name);
        let identity = KeptIdentity::load(&dir)?.map(|identity| {
            let claim = identity.block.claim();
            if let Err(error) = &claim {
                tracing::warn!(redis = name, block = %identity.block, %error, "addresses are not ours alone");
            }
            (identity, claim.ok())
        });
        let set = Self {
            common: Arc::clone(common),
            name: name.to_owned(),
            dir,
            identity: Mutex::new(identity),
            minders: Mutex::default(),
            redis: Mutex::default(),
            unfit: Mutex::default(),
            work: tokio::sync::Mutex::default(),
        };
        for member in set.roster().members()? {
            set.mind(member.kind, member.ordinal, Some(&member.record), revived)?;
        }
        Ok(set)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn dir(&self) -> &SetDir {
        &self.dir
    }

    pub(crate) fn roster(&self) -> Roster {
        Roster::new(&self.name, self.dir.clone())
    }

    /// Who the set is: made when there is none, and kept.
    pub(crate) fn identify(&self, redis: &CheckedRedis) -> Result<Identity, LocalError> {
        self.remember(redis)?;
        let mut identity = lock(&self.identity);
        let (kept, claim) = if let Some(there) = identity.take() {
            there
        } else {
            let (made, claim) = KeptIdentity::make(&self.dir, redis, self.common.single_address)?;
            (made, Some(claim))
        };
        let claim = claim.or_else(|| kept.block.claim().ok());
        let (kept, claim) = identity.insert((kept, claim));
        if claim.is_none() && !lock(&self.minders).values().any(|minder| minder.state().running) {
            return Err(LocalError::BlockTaken { name: self.name.clone(), block: kept.block.to_string() });
        }
        kept.entries(redis)
    }

    /// Keeps what has to be known when the resource is gone.
    fn remember(&self, redis: &CheckedRedis) -> Result<(), LocalError> {
        let mut last = lock(&self.redis);
        if last.as_ref() != Some(redis) {
            files::private_dir(self.dir.root())?;
            VolumePolicy::of(redis).keep(&self.dir)?;
            *last = Some(redis.clone());
        }
        Ok(())
    }

    /// The members there are.
    pub(crate) fn members(&self) -> Vec<Member> {
        let member = |(&(kind, ordinal), minder): (&(MemberKind, u32), &Arc<Minder>)| {
            let state = minder.state();
            (state.standing != Standing::Absent).then(|| Member {
                name: member_name(&self.name, kind, ordinal),
                kind,
                ordinal,
                template: state.template,
                running: state.running,
                leaving: state.standing == Standing::Leaving,
                trouble: state.trouble,
                domain: None,
            })
        };
        lock(&self.minders).iter().filter_map(member).collect()
    }

    /// Puts secrets and configuration where the agents read them.
    pub(crate) fn settle_files(&self, workload: &Workload) -> Result<(), LocalError> {
        self.settle_secrets(&workload.redis)?;
        files::private_dir(&self.dir.config_dir())?;
        files::write_json(&self.dir.config(), &workload.config, Worth::Lasting)?;
        Ok(())
    }

    /// The password that the resource names has changed, perhaps.
    pub(crate) fn settle_given_secret(&self) -> Result<(), LocalError> {
        let redis = lock(&self.redis).clone();
        match redis.filter(|redis| redis.spec.auth.secret_name.is_some()) {
            Some(redis) => self.settle_secrets(&redis),
            None => Ok(()),
        }
    }

    fn settle_secrets(&self, redis: &CheckedRedis) -> Result<(), LocalError> {
        let settled = settle_secrets(&self.common.state, &self.dir, redis);
        let unfit = settled.as_ref().err().map(|error| format!("{error}; {}", error.next()));
        if std::mem::replace(&mut *lock(&self.unfit), unfit.clone()) != unfit {
            self.common.nudges.nudge(&self.name);
        }
        settled
    }

    /// What the resource refers to and cannot be used.
    pub(crate) fn unfit(&self) -> Option<String> {
        lock(&self.unfit).clone()
    }

    /// Has the members run that are to be there, and the others leave. All are tried; the first failure is told.
    pub(crate) async fn settle_members(&self, workload: &Workload, wish: &Wish) -> Result<(), LocalError> {
        let counts = workload.counts();
        let wanted = |kind| counts.ordinals(kind).map(move |ordinal| (kind, ordinal));
        let wanted: Vec<_> = wanted(MemberKind::Node).chain(wanted(MemberKind::Sentinel)).collect();
        let minders = wanted
            .iter()
            .map(|&(kind, ordinal)| self.mind(kind, ordinal, None, true))
            .collect::<Result<Vec<_>, _>>()?;
        // Cut off anywhere, it is known of no fewer shards than run.
        self.keep_shards(counts.shards, |kept| counts.shards < kept)?;
        self.dismiss(&wanted, workload.redis.spec.termination_grace_period).await?;
        join_all(minders.iter().map(|minder| minder.run(wish.clone())))
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
        self.keep_shards(counts.shards, |kept| counts.shards > kept)
    }

    /// So many shards may hold data from now on: those that leave hold none any more, those that join none yet.
    fn keep_shards(&self, shards: u32, differs: impl Fn(u32) -> bool) -> Result<(), LocalError> {
        let mut identity = lock(&self.identity);
        let Some((kept, _)) = identity.as_mut().filter(|(kept, _)| kept.shards.is_some_and(differs)) else {
            return Ok(());
        };
        let changed = KeptIdentity { shards: Some(shards), ..kept.clone() };
        changed.keep(&self.dir)?;
        *kept = changed;
        Ok(())
    }

    /// Members that are not wanted leave, highest ordinal first. Nobody waits for them here.
    async fn dismiss(&self, wanted: &[(MemberKind, u32)], grace: Duration) -> Result<(), LocalError> {
        let others: Vec<_> = lock(&self.minders)
            .iter()
            .rev()
            .filter(|(member, _)| !wanted.contains(member))
            .map(|(_, minder)| Arc::clone(minder))
            .collect();
        for minder in others {
            minder.leave(Way::HandOver, grace).await?;
        }
        Ok(())
    }

    /// The agents' token, made when there is none yet.
    pub(crate) fn token(&self) -> Result<Arc<SecretString>, LocalError> {
        match self.roster().token() {
            Err(LocalError::Secrets(SecretsError::Missing { .. })) if lock(&self.identity).is_some() => {
                generate_missing(&self.dir.secrets())?;
                self.roster().token()
            }
            token => token,
        }
    }

    /// Ends one member with a hand-over, and starts it again.
    pub(crate) async fn replace(&self, member: &str, wish: Wish, grace: Duration) -> Result<(), LocalError> {
        let minder = self.minder(member)?;
        minder.end(Way::HandOver, grace).await?;
        minder.run(wish).await
    }

    fn minder(&self, member: &str) -> Result<Arc<Minder>, LocalError> {
        let minders = lock(&self.minders);
        let found = parse_member(&self.name, member).and_then(|key| minders.get(&key));
        found.map(Arc::clone).ok_or_else(|| LocalError::NoSuchMember {
            name: member.to_owned(),
            known: minders.keys().map(|(kind, ordinal)| member_name(&self.name, *kind, *ordinal)).collect(),
        })
    }

    /// Ends all members for good, the master last. All are tried; the first failure is told.
    pub(crate) async fn end(&self, grace: Duration) -> Result<(), LocalError> {
        let roster = self.roster();
        let mut ended = Ok(());
        for group in roster.last_to_end(&roster.members()?).await {
            let ends = group.iter().map(|entry| async {
                let minder = self.mind(entry.kind, entry.ordinal, Some(&entry.record), false)?;
                minder.end(roster.last_way(entry), grace).await
            });
            ended = ended.and(join_all(ends).await.into_iter().collect());
        }
        ended
    }

    /// How long its members may take to end.
    pub(crate) fn grace(&self) -> Duration {
        let known = lock(&self.redis).as_ref().map(|redis| redis.spec.termination_grace_period);
        known.unwrap_or_else(|| self.roster().grace())
    }

    fn mind(
        &self,
        kind: MemberKind,
        ordinal: u32,
        record: Option<&AgentRecord>,
        revived: bool,
    ) -> Result<Arc<Minder>, LocalError> {
        let mut minders = lock(&self.minders);
        if let Some(minder) = minders.get(&(kind, ordinal)) {
            return Ok(Arc::clone(minder));
        }
        let launch = self.launch(kind, ordinal, record)?;
        let minder = Arc::new(Minder::new(&self.name, launch, record, revived, self.common.nudges.clone()));
        minders.insert((kind, ordinal), Arc::clone(&minder));
        Ok(minder)
    }

    fn launch(
        &self,
        kind: MemberKind,
        ordinal: u32,
        record: Option<&AgentRecord>,
    ) -> Result<Launch, LocalError> {
        let member = member_name(&self.name, kind, ordinal);
        let place = lock(&self.identity).as_ref().and_then(|(kept, _)| kept.block.place(kind, ordinal));
        let Some(place) = place else {
            return Err(LocalError::NoSuchMember { name: member, known: Vec::new() });
        };
        let wish = record.map_or_else(Wish::default, |record| record.wish.clone());
        Ok(Launch {
            member,
            kind,
            executable: self.common.executable.clone(),
            set: self.dir.clone(),
            place,
            wish,
        })
    }
}

/// A panic elsewhere leaves plain values behind, never half of one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
