//! The form's signals, shared by its parts.

use std::sync::atomic::{AtomicU32, Ordering};

use illumine_types::ToolKind;
use illumine_types::api::{GenerationRequest, UploadedInput};
use illumine_types::capability::Limits;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::app::Installation;
use crate::browser;
use crate::state::compose::{ComposeForm, Field, Mistake};
use crate::state::words::counted;

const DRAFT: &str = "illumine-draft";
/// From here on the remaining characters are counted.
const COUNT_FROM: usize = 2_000;

/// A picture given with the prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPicture {
    pub key: u32,
    pub name: String,
    pub state: Upload,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Upload {
    Sending,
    Sent(UploadedInput),
    Failed(String),
}

/// Everything on the desk.
#[derive(Clone, Copy)]
pub struct Desk {
    pub form: RwSignal<ComposeForm>,
    pub pictures: RwSignal<Vec<InputPicture>>,
    pub mistakes: RwSignal<Vec<Mistake>>,
    pub options_open: RwSignal<bool>,
    pub dragging: RwSignal<bool>,
}

static NEXT_PICTURE: AtomicU32 = AtomicU32::new(0);

impl Desk {
    pub fn new() -> Self {
        let draft = ComposeForm {
            prompt: browser::stored(DRAFT).unwrap_or_default(),
            ..ComposeForm::default()
        };
        Self {
            form: RwSignal::new(draft),
            pictures: RwSignal::new(Vec::new()),
            mistakes: RwSignal::new(Vec::new()),
            options_open: RwSignal::new(false),
            dragging: RwSignal::new(false),
        }
    }

    pub fn write(self, prompt: String) {
        browser::store(
            DRAFT,
            Some(&prompt)
                .filter(|text| !text.is_empty())
                .map(String::as_str),
        );
        self.form.update(|form| form.prompt = prompt);
        self.mistakes
            .update(|all| all.retain(|mistake| mistake.field != Field::Prompt));
    }

    pub fn forget_draft(self) {
        browser::store(DRAFT, None);
    }

    /// The request, if there is nothing to complain about.
    pub fn checked(self, installation: Installation) -> Option<GenerationRequest> {
        let (limits, tools) = installation.capabilities.with_untracked(|all| {
            all.as_ref().map_or_else(
                || (Limits::default(), ToolKind::ALL.to_vec()),
                |all| {
                    let tools = all.tools.iter().filter(|tool| tool.available);
                    (all.limits, tools.map(|tool| tool.tool).collect())
                },
            )
        });
        let mut form = self.form.get_untracked();
        let pictures = self.pictures.get_untracked();
        let sent = pictures.iter().filter_map(|picture| match &picture.state {
            Upload::Sent(input) => Some(input.input_id.clone()),
            _ => None,
        });
        form.images = sent.collect();
        if form.images.len() < pictures.len() {
            self.blame(Field::Images, unready(&pictures));
            return None;
        }
        match form.request(&limits, &tools) {
            Ok(request) => {
                self.mistakes.set(Vec::new());
                Some(request)
            }
            Err(mistakes) => {
                if mistakes.iter().any(|mistake| mistake.field.is_option()) {
                    self.options_open.set(true);
                }
                if mistakes
                    .iter()
                    .any(|mistake| mistake.field == Field::Prompt)
                {
                    browser::focus("prompt");
                }
                self.mistakes.set(mistakes);
                None
            }
        }
    }

    /// Shows a mistake beside its field.
    pub fn blame(self, field: Field, words: String) {
        if field.is_option() {
            self.options_open.set(true);
        }
        self.mistakes.set(vec![Mistake { field, words }]);
    }

    pub fn mistake(self, field: Field) -> Signal<Option<String>> {
        Signal::derive(move || {
            let mistakes = self.mistakes.read();
            let mistake = mistakes.iter().find(|mistake| mistake.field == field);
            mistake.map(|mistake| mistake.words.clone())
        })
    }

    pub fn characters_left(self, installation: Installation) -> Option<i64> {
        let characters = self.form.with(|form| form.prompt.chars().count());
        let most = installation.capabilities.with(|all| {
            all.as_ref()
                .map_or(Limits::default(), |all| all.limits)
                .prompt_characters
        });
        if characters + COUNT_FROM < most {
            return None;
        }
        Some(i64::try_from(most).ok()? - i64::try_from(characters).ok()?)
    }

    /// Uploads what was dropped, pasted or picked.
    pub fn add_files(self, files: &web_sys::FileList, installation: Installation) {
        let limits = installation
            .capabilities
            .with_untracked(|all| all.as_ref().map_or(Limits::default(), |all| all.limits));
        for at in 0..files.length() {
            let Some(file) = files.get(at) else { continue };
            if self.pictures.read_untracked().len() >= limits.images {
                let words = format!(
                    "At most {} can go with a prompt.",
                    counted(limits.images, "picture")
                );
                self.blame(Field::Images, words);
                return;
            }
            self.add_file(file, &limits);
        }
    }

    fn add_file(self, file: web_sys::File, limits: &Limits) {
        let key = NEXT_PICTURE.fetch_add(1, Ordering::Relaxed);
        let refused = if !file.type_().starts_with("image/") {
            Some("This is not a picture.".to_owned())
        } else if file.size() > limits.image_bytes as f64 {
            let megabytes = limits.image_bytes / (1024 * 1024);
            Some(format!("This picture is larger than {megabytes} MB."))
        } else {
            None
        };
        let state = refused.clone().map_or(Upload::Sending, Upload::Failed);
        self.pictures.update(|all| {
            all.push(InputPicture {
                key,
                name: file.name(),
                state,
            });
        });
        if refused.is_some() {
            return;
        }
        spawn_local(async move {
            let state = match api::upload(&file).await {
                Ok(input) => Upload::Sent(input),
                Err(error) => Upload::Failed(error.to_string()),
            };
            self.pictures.update(|all| {
                if let Some(picture) = all.iter_mut().find(|picture| picture.key == key) {
                    picture.state = state;
                }
            });
        });
    }

    pub fn remove_picture(self, key: u32) {
        self.pictures
            .update(|all| all.retain(|picture| picture.key != key));
        self.mistakes
            .update(|all| all.retain(|mistake| mistake.field != Field::Images));
    }
}

fn unready(pictures: &[InputPicture]) -> String {
    let sending = pictures
        .iter()
        .any(|picture| picture.state == Upload::Sending);
    if sending {
        "A picture is still being sent. Try again in a moment.".into()
    } else {
        "Remove the pictures that could not be sent.".into()
    }
}
