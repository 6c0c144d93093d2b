//! The port contract, on a temporary directory.

use replicator_core::testing::contract;
use replicator_fs::ImageArchive;

#[tokio::test]
async fn archive_honours_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let archive = ImageArchive::create(directory.path()).unwrap();
    contract::target(&archive).await;
}
