//! The toolbox, with the library where it is.

use std::sync::Arc;

use illumine_config::Config;
use illumine_store::Store;
use illumine_tools::Toolbox;

use crate::image_models::painters;
use crate::library::StoreLibrary;

/// With the library in S3.
pub async fn for_store(config: &Config, store: &Store) -> Toolbox {
    let library = Some(Arc::new(StoreLibrary(store.clone())) as _);
    Toolbox::from_config(config, library, &painters(config)).await
}

/// With the library in a folder, for work without servers.
pub async fn for_folder(config: &Config) -> Toolbox {
    Toolbox::from_config(config, None, &painters(config)).await
}
