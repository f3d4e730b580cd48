use std::time::Duration;

use illumine_types::api::Role;

use crate::harness::Servers;

#[tokio::test]
async fn keys_open_and_close_the_door() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let keys = store.keys();
    let made = keys.create("ci", Role::Member).await.unwrap();
    assert!(!format!("{made:?}").contains(&made.secret));
    assert_eq!(
        keys.authenticate(&made.secret).await.unwrap(),
        Some(made.key.clone())
    );
    assert_eq!(keys.authenticate("ilm_wrong").await.unwrap(), None);
    assert_eq!(keys.list().await.unwrap(), std::slice::from_ref(&made.key));
    let stored = store
        .blobs()
        .get(&format!("keys/{}.json", made.key.id))
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&stored).contains(&made.secret));

    let sessions = store.sessions();
    let token = sessions
        .open(&made.key, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(
        sessions.check(&token).await.unwrap(),
        Some(made.key.clone())
    );
    assert_eq!(sessions.check("other").await.unwrap(), None);
    let other = sessions
        .open(&made.key, Duration::from_secs(60))
        .await
        .unwrap();
    sessions.close(&other).await.unwrap();
    assert_eq!(sessions.check(&other).await.unwrap(), None);
    let short = sessions
        .open(&made.key, Duration::from_secs(1))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(sessions.check(&short).await.unwrap(), None);

    keys.revoke(&made.key.id).await.unwrap();
    assert_eq!(keys.authenticate(&made.secret).await.unwrap(), None);
    assert_eq!(sessions.check(&token).await.unwrap(), None);
    assert_eq!(
        keys.revoke(&made.key.id).await.unwrap_err().code(),
        "not_found"
    );
}

#[tokio::test]
async fn a_given_secret_becomes_a_key_once_and_outlives_redis() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let keys = store.keys();
    let secret = "ilm_0123456789012345678901234567890123";
    let first = keys.ensure(secret, "admin", Role::Admin).await.unwrap();
    let second = keys.ensure(secret, "admin", Role::Admin).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(
        keys.ensure("short", "x", Role::Admin)
            .await
            .unwrap_err()
            .code(),
        "invalid_value"
    );
    servers.redis.command(&["FLUSHALL"]).await;
    assert_eq!(keys.authenticate(secret).await.unwrap(), Some(first));
}
