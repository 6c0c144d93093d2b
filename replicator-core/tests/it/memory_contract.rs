//! The fake keeps the contract that it is used to check others with.

use replicator_core::testing::contract;
use replicator_core::testing::{Faults, Faulty, MemoryImages};

#[tokio::test]
async fn memory_honours_the_contract() {
    contract::target(&MemoryImages::default()).await;
}

#[tokio::test]
async fn a_port_without_faults_honours_the_contract() {
    let faulty = Faulty::new(MemoryImages::default(), Faults::default());
    contract::target(&faulty).await;
}
