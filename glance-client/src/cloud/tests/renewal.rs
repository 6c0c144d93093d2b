//! Tokens that are renewed while they are used.

use super::*;

async fn tokens(keystone: &EmbeddedKeystone, life: Duration) -> Arc<CloudTokens> {
    keystone.state().life = life;
    entry(keystone, PASSWORD)
        .cloud("c")
        .unwrap()
        .sign_in()
        .await
        .unwrap()
        .tokens
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all() {
    let keystone = EmbeddedKeystone::start().await;
    // Clocks that differ are no reason to renew anything.
    keystone.state().behind = Duration::from_secs(86_400);
    let tokens = tokens(&keystone, Duration::from_secs(3600)).await;
    let first = tokens.token(Duration::ZERO).await.unwrap();
    let renewals = (0..20).map(|_| tokens.renew(&first));
    let renewed = futures_util::future::join_all(renewals).await;
    let second = AuthToken::new("token-2").unwrap();
    for token in renewed {
        assert_eq!(token.unwrap().as_ref(), Some(&second));
    }
    assert_eq!(
        tokens.token(Duration::from_secs(600)).await.unwrap(),
        second
    );
    assert_eq!(keystone.state().issued, 2);
}

#[tokio::test]
async fn a_renewal_that_fails_fails_once_for_all() {
    let keystone = EmbeddedKeystone::start().await;
    let tokens = tokens(&keystone, Duration::from_secs(3600)).await;
    let first = tokens.token(Duration::ZERO).await.unwrap();
    keystone.state().faults.extend([(401, None); 20]);
    let renewals = (0..20).map(|_| tokens.renew(&first));
    for failed in futures_util::future::join_all(renewals).await {
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Unauthorized);
    }
    tokens.renew(&first).await.unwrap_err();
    assert_eq!(keystone.state().seen.len(), 2, "nobody is to be locked out");
    // Requests go on with the token that there is, as long as it lives.
    assert_eq!(tokens.token(Duration::ZERO).await.unwrap(), first);
}

#[tokio::test]
async fn a_token_that_lives_too_short_is_renewed_when_it_is_no_longer_fresh() {
    let keystone = EmbeddedKeystone::start().await;
    let tokens = tokens(&keystone, Duration::from_millis(800)).await;
    let long = Duration::from_secs(3600);
    let first = tokens.token(long).await.unwrap();
    assert_eq!(
        tokens.token(long).await.unwrap(),
        first,
        "a new one would be no better"
    );
    assert_eq!(keystone.state().issued, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        tokens.token(Duration::ZERO).await.unwrap(),
        first,
        "good enough for a request"
    );
    assert_ne!(tokens.token(long).await.unwrap(), first);
    assert_eq!(keystone.state().issued, 2);
    tokio::time::sleep(Duration::from_millis(700)).await;
    tokens.token(Duration::ZERO).await.unwrap();
    assert_eq!(keystone.state().issued, 3, "little life is left");
}
