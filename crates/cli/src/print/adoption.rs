//! What taking over a `RedisFailover` amounts to, for people.

use redoubt_kubernetes::Adoption;

use super::table::Table;

/// What would change, then whose server would be restarted.
pub(crate) fn text(adoption: &Adoption) -> String {
    let mut changes = Table::new(&["KIND", "NAME", "CHANGE"]);
    for change in &adoption.changes {
        changes.row([change.kind.into(), change.name.as_str().into(), change.change.as_str().into()]);
    }
    let mut restarts = Table::new(&["RESTART", "POD", "WHEN"]);
    for (number, restart) in (1..).zip(&adoption.restarts) {
        restarts.row([
            i32::to_string(&number).into(),
            restart.pod.as_str().into(),
            restart.when.as_str().into(),
        ]);
    }
    let mut text = String::new();
    if !adoption.changes.is_empty() {
        text.push_str(&changes.render());
    }
    if !adoption.restarts.is_empty() {
        text.push('\n');
        text.push_str(&restarts.render());
    }
    text
}

#[cfg(test)]
mod tests {
    use redoubt_kubernetes::{Change, Restart};

    use super::*;

    #[test]
    fn what_changes_comes_before_who_is_restarted() {
        let adoption = Adoption {
            name: "cart".to_owned(),
            namespace: "shop".to_owned(),
            uid: "a-uid".to_owned(),
            generation: Some(1),
            unwritten: Vec::new(),
            obstacles: Vec::new(),
            changes: vec![Change {
                kind: "Deployment",
                name: "rfs-cart".to_owned(),
                change: "is removed".to_owned(),
            }],
            restarts: vec![Restart { pod: "rfr-cart-2".to_owned(), when: "first".to_owned() }],
            warnings: Vec::new(),
        };
        let shown = anstream::adapter::strip_str(&text(&adoption)).to_string();
        assert_eq!(
            shown,
            "KIND        NAME      CHANGE\nDeployment  rfs-cart  is removed\n\nRESTART  POD         WHEN\n1        rfr-cart-2  first\n"
        );
        let nothing = Adoption { changes: Vec::new(), restarts: Vec::new(), ..adoption };
        assert_eq!(text(&nothing), "");
    }
}
