//! From settings to backends, in order of preference.

use std::sync::Arc;
use std::time::Duration;

use illumine_config::{Secret, ToolSettings};
use illumine_guard::{Allow, FetchLimits, Guard};
use illumine_types::ToolKind;

use super::backend::Backend;
use super::runner::Runner;
use super::{Missing, Tuning};
use crate::diffusion::ark::Seedream;
use crate::diffusion::burn::BurnImage;
use crate::diffusion::openai::OpenAiImages;
use crate::diffusion::qwen::QwenImage;
use crate::edit::ark::SeedEdit;
use crate::edit::burn::BurnEdit;
use crate::edit::openai::OpenAiEdits;
use crate::edit::qwen::QwenEdit;
use crate::fetch::PictureFetcher;
use crate::painter::{Named, Painter};
use crate::search::Finder;
use crate::search::library::{LibrarySearch, LibrarySource};
use crate::search::openverse::Openverse;
use crate::search::searxng::SearxNg;
use crate::search::serpapi::SerpApi;
use crate::search::web::WebSearch;
use crate::service::{ImagesService, Pool, Service};

type Chosen = Result<Box<dyn Backend>, Missing>;

pub(super) fn search(
    settings: &ToolSettings,
    library: Arc<dyn LibrarySource>,
    tuning: &Tuning,
) -> Runner {
    let fetcher = &fetcher(settings, tuning);
    let build = |name: &str| match name {
        "serpapi" => serpapi(settings).map(|finder| web(finder, fetcher, tuning)),
        "searxng" => searxng(settings).map(|finder| web(finder, fetcher, tuning)),
        "openverse" => openverse(settings).map(|finder| web(finder, fetcher, tuning)),
        "library" => Ok(Box::new(LibrarySearch::new(
            Arc::clone(&library),
            fetcher.clone(),
            tuning.library_keep,
        )) as _),
        other => Err(unknown(other, "ILLUMINE_SEARCH")),
    };
    const ALL: &[&str] = &["serpapi", "searxng", "openverse", "library"];
    runner(ToolKind::Search, &settings.search, ALL, build, tuning)
}

pub(super) fn diffusion(settings: &ToolSettings, painter: &Named, tuning: &Tuning) -> Runner {
    let fetcher = &fetcher(settings, tuning);
    let timeout = draw_timeout(settings);
    let build = |name: &str| -> Chosen {
        match name {
            "qwen" => Ok(Box::new(QwenImage {
                pool: pool(
                    &settings.qwen_image_servers,
                    "QWEN_IMAGE_SERVER_URL",
                    tuning,
                )?,
                fetcher: fetcher.clone(),
                timeout,
            })),
            "ark" => Ok(Box::new(Seedream {
                images: ark(settings, &settings.ark_image_model, fetcher)?,
                timeout,
            })),
            "openai" => Ok(Box::new(OpenAiImages {
                images: openai(settings, fetcher)?,
                timeout,
            })),
            "burn" => Ok(Box::new(BurnImage {
                painter: present(painter, "ILLUMINE_DIFFUSION_MODEL")?,
                timeout,
            })),
            other => Err(unknown(other, "ILLUMINE_DIFFUSION")),
        }
    };
    runner(
        ToolKind::Diffusion,
        &settings.diffusion,
        DRAWING,
        build,
        tuning,
    )
}

pub(super) fn edit(settings: &ToolSettings, painter: &Named, tuning: &Tuning) -> Runner {
    let fetcher = &fetcher(settings, tuning);
    let timeout = draw_timeout(settings);
    let build = |name: &str| -> Chosen {
        match name {
            "qwen" => Ok(Box::new(QwenEdit {
                pool: pool(&settings.qwen_edit_servers, "QWEN_EDIT_SERVER_URL", tuning)?,
                fetcher: fetcher.clone(),
                timeout,
            })),
            "ark" => Ok(Box::new(SeedEdit {
                images: ark(settings, &settings.ark_edit_model, fetcher)?,
                timeout,
            })),
            "openai" => Ok(Box::new(OpenAiEdits {
                images: openai(settings, fetcher)?,
                timeout,
            })),
            "burn" => Ok(Box::new(BurnEdit {
                painter: present(painter, "ILLUMINE_EDIT_MODEL")?,
                timeout,
            })),
            other => Err(unknown(other, "ILLUMINE_EDIT")),
        }
    };
    runner(ToolKind::Edit, &settings.edit, DRAWING, build, tuning)
}

/// The model of this process is the last resort: servers are what a team sets up.
const DRAWING: &[&str] = &["qwen", "ark", "openai", "burn"];

fn present(painter: &Named, variable: &'static str) -> Result<Arc<dyn Painter>, Missing> {
    match painter {
        Some(Ok(painter)) => Ok(Arc::clone(painter)),
        Some(Err(reason)) => Err(wrong(format!("{variable}: {reason}"), variable)),
        None => Err(unset(variable)),
    }
}

/// The named backends, or all that are set when none is named.
fn runner(
    kind: ToolKind,
    named: &[String],
    all: &[&str],
    build: impl Fn(&str) -> Chosen,
    tuning: &Tuning,
) -> Runner {
    let names: Vec<&str> = if named.is_empty() {
        all.to_vec()
    } else {
        named.iter().map(String::as_str).collect()
    };
    let mut backends = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        match build(name) {
            Ok(backend) => backends.push(backend),
            Err(lack) => {
                if !named.is_empty() {
                    tracing::warn!(tool = %kind, backend = name, reason = lack.reason, "backend not used");
                }
                missing.push(lack);
            }
        }
    }
    Runner::new(kind, backends, missing, tuning.retry)
}

fn fetcher(settings: &ToolSettings, tuning: &Tuning) -> PictureFetcher {
    let allow = Allow::parse(&settings.fetch_allow).unwrap_or_else(|error| {
        tracing::error!(%error, "ILLUMINE_FETCH_ALLOW is not used");
        Allow::default()
    });
    let guard = Guard::with_resolver(allow, Arc::clone(&tuning.resolver));
    let mut fetcher = PictureFetcher::new(guard);
    fetcher.fetch_limits = FetchLimits {
        total: tuning.fetch_timeout,
        ..FetchLimits::default()
    };
    fetcher
}

fn web<F: Finder + 'static>(
    finder: F,
    fetcher: &PictureFetcher,
    tuning: &Tuning,
) -> Box<dyn Backend> {
    Box::new(WebSearch {
        finder,
        fetcher: fetcher.clone(),
        timeout: tuning.search_timeout,
    })
}

fn serpapi(settings: &ToolSettings) -> Result<SerpApi, Missing> {
    let key = required(settings.serp_api_key.as_ref(), "SERP_API_KEY")?;
    let service = Service::new(
        "SerpAPI",
        &settings.serp_api_url,
        Some(key),
        "SERP_API_URL",
        "SERP_API_KEY",
    );
    Ok(SerpApi {
        service: service.map_err(|reason| wrong(reason, "SERP_API_URL"))?,
    })
}

fn searxng(settings: &ToolSettings) -> Result<SearxNg, Missing> {
    const NAME: &str = "ILLUMINE_SEARXNG_URL";
    let address = required(settings.searxng_url.as_ref(), NAME)?;
    let service = Service::new("SearXNG", address, None, NAME, NAME);
    Ok(SearxNg {
        service: service.map_err(|reason| wrong(reason, NAME))?,
    })
}

fn openverse(settings: &ToolSettings) -> Result<Openverse, Missing> {
    const NAME: &str = "ILLUMINE_OPENVERSE_URL";
    let address = required(settings.openverse_url.as_ref(), NAME)?;
    let service = Service::new("Openverse", address, None, NAME, NAME);
    Ok(Openverse {
        service: service.map_err(|reason| wrong(reason, NAME))?,
    })
}

fn pool(servers: &[String], variable: &'static str, tuning: &Tuning) -> Result<Pool, Missing> {
    if servers.is_empty() {
        return Err(unset(variable));
    }
    let service =
        |address: &String| Service::new("the Qwen server", address, None, variable, variable);
    let services: Result<Vec<Service>, String> = servers.iter().map(service).collect();
    let services = services.map_err(|reason| wrong(reason, variable))?;
    Ok(Pool::new(services, tuning.server_rest))
}

fn ark(
    settings: &ToolSettings,
    model: &str,
    fetcher: &PictureFetcher,
) -> Result<ImagesService, Missing> {
    let key = required(settings.ark_api_key.as_ref(), "ARK_API_KEY")?;
    let service = Service::new(
        "Ark",
        &settings.ark_base_url,
        Some(key),
        "ARK_BASE_URL",
        "ARK_API_KEY",
    );
    let service = service.map_err(|reason| wrong(reason, "ARK_BASE_URL"))?;
    Ok(ImagesService::new(service, model.to_owned(), fetcher))
}

fn openai(settings: &ToolSettings, fetcher: &PictureFetcher) -> Result<ImagesService, Missing> {
    const ADDRESS: &str = "ILLUMINE_OPENAI_IMAGES_BASE_URL";
    const KEY: &str = "ILLUMINE_OPENAI_IMAGES_API_KEY";
    let key: Option<&Secret> = settings.openai_images_api_key.as_ref();
    // a server of one's own may want no key; OpenAI's does
    if key.is_none() && settings.openai_images_base_url.contains("api.openai.com") {
        return Err(unset(KEY));
    }
    let address = &settings.openai_images_base_url;
    let service = Service::new("the OpenAI images API", address, key, ADDRESS, KEY);
    let service = service.map_err(|reason| wrong(reason, ADDRESS))?;
    let model = settings.openai_images_model.clone();
    Ok(ImagesService::new(service, model, fetcher))
}

const fn draw_timeout(settings: &ToolSettings) -> Duration {
    let seconds = settings.draw_timeout_s;
    Duration::from_secs(if seconds == 0 { 1 } else { seconds })
}

fn required<'a, T>(value: Option<&'a T>, variable: &'static str) -> Result<&'a T, Missing> {
    value.ok_or_else(|| unset(variable))
}

fn unset(variable: &'static str) -> Missing {
    Missing {
        reason: format!("{variable} is not set"),
        remedy: variable,
    }
}

const fn wrong(reason: String, variable: &'static str) -> Missing {
    Missing {
        reason,
        remedy: variable,
    }
}

fn unknown(name: &str, variable: &'static str) -> Missing {
    Missing {
        reason: format!("`{name}` in {variable} is no backend"),
        remedy: variable,
    }
}
