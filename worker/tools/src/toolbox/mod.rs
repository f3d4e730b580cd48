//! The four tools as the configuration allows them.

pub(crate) mod backend;
mod cache;
mod choose;
mod retry;
mod runner;

use std::sync::Arc;
use std::time::Duration;

use illumine_config::{Config, ToolSettings};
use illumine_guard::{Resolve, SystemResolver};
use illumine_types::ToolKind;
use illumine_types::capability::ToolCapability;

pub use retry::Retry;

use crate::painter::Painters;
use crate::search::library::{FolderLibrary, LibrarySource};
use crate::{CodeConfig, CodeTool, ImageTool};

/// A backend that could serve, and what it lacks.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub reason: String,
    /// The setting that would help.
    pub remedy: &'static str,
}

/// What no setting changes; tests do.
#[derive(Clone)]
pub struct Tuning {
    pub retry: Retry,
    /// For one search at one web backend.
    pub search_timeout: Duration,
    /// For one found picture.
    pub fetch_timeout: Duration,
    /// How long a Qwen server that failed rests at first.
    pub server_rest: Duration,
    /// How long a listing of the library serves.
    pub library_keep: Duration,
    pub resolver: Arc<dyn Resolve>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            retry: Retry::default(),
            search_timeout: Duration::from_secs(40),
            fetch_timeout: Duration::from_secs(10),
            server_rest: Duration::from_secs(10),
            library_keep: Duration::from_secs(60),
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl std::fmt::Debug for Tuning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tuning")
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// One tool of each kind. A tool without a backend is there too: it says why
/// it cannot run and which setting would help.
#[derive(Clone)]
pub struct Toolbox {
    tools: Vec<Arc<dyn ImageTool>>,
}

impl std::fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.capabilities()).finish()
    }
}

impl Toolbox {
    /// All four tools; proves the code sandbox, which takes a second or two.
    /// Without a `library` the folder in `library_dir` serves; `painters` are the
    /// picture models of this process.
    pub async fn from_settings(
        settings: &ToolSettings,
        library: Option<Arc<dyn LibrarySource>>,
        painters: &Painters,
    ) -> Self {
        let code = CodeTool::start(code_config(settings)).await;
        let mut toolbox = Self::without_code(settings, library, painters, Tuning::default());
        toolbox.tools.push(Arc::new(code));
        toolbox
    }

    /// [`Self::from_settings`] of the whole configuration.
    pub async fn from_config(
        config: &Config,
        library: Option<Arc<dyn LibrarySource>>,
        painters: &Painters,
    ) -> Self {
        Self::from_settings(&config.tools, library, painters).await
    }

    /// Search, diffusion and edit: nothing is started.
    #[must_use]
    pub fn without_code(
        settings: &ToolSettings,
        library: Option<Arc<dyn LibrarySource>>,
        painters: &Painters,
        tuning: Tuning,
    ) -> Self {
        let folder = || Arc::new(FolderLibrary::new(&settings.library_dir)) as _;
        let library = library.unwrap_or_else(folder);
        Self {
            tools: vec![
                Arc::new(choose::search(settings, library, &tuning)),
                Arc::new(choose::diffusion(settings, &painters.diffusion, &tuning)),
                Arc::new(choose::edit(settings, &painters.edit, &tuning)),
            ],
        }
    }

    /// A toolbox of other tools.
    #[must_use]
    pub fn of(tools: Vec<Arc<dyn ImageTool>>) -> Self {
        Self { tools }
    }

    #[must_use]
    pub fn tools(&self) -> &[Arc<dyn ImageTool>] {
        &self.tools
    }

    #[must_use]
    pub fn get(&self, kind: ToolKind) -> Option<&Arc<dyn ImageTool>> {
        self.tools.iter().find(|tool| tool.kind() == kind)
    }

    /// In the order of [`ToolKind::ALL`].
    #[must_use]
    pub fn capabilities(&self) -> Vec<ToolCapability> {
        let tools = ToolKind::ALL.into_iter().filter_map(|kind| self.get(kind));
        tools.map(|tool| tool.capability()).collect()
    }
}

fn code_config(settings: &ToolSettings) -> CodeConfig {
    CodeConfig {
        pool: settings.code_pool,
        wall: Duration::from_secs(settings.code_timeout_s.max(1)),
        memory_bytes: settings.code_memory_mb.max(1) << 20,
        ..CodeConfig::new(&settings.python)
    }
}
