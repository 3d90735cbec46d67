//! What stays of a deleted set.

use crate::{error::LocalError, files, paths::SetDir, set::VolumePolicy};

/// Removes what was made for a set. Where its data is to outlive it, data, passwords and addresses stay, so that
/// creating it again brings everything back.
///
/// The configuration goes last: as long as it is there, the deletion is not finished.
pub(crate) fn remove_set(dir: &SetDir) -> Result<(), LocalError> {
    if !VolumePolicy::load(dir)?.keep_after_deletion {
        // Most of the folder, and all of the data, before the configuration that tells it is not finished.
        files::remove_dir(&dir.members())?;
        return files::remove_dir(dir.root());
    }
    for name in dir.member_names()? {
        let member = dir.member(&name);
        for file in [member.agent(), member.log(), member.old_log()] {
            files::remove(&file)?;
        }
    }
    for file in [dir.status(), dir.events(), dir.old_events()] {
        files::remove(&file)?;
    }
    files::remove_dir(&dir.config_dir())
}

/// Nothing of the set runs or is about to.
pub(crate) fn is_removed(dir: &SetDir) -> bool {
    !dir.config_dir().exists()
}
