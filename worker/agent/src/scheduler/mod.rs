//! Runs tool calls as soon as they can run.
//!
//! A call starts when its tag closes, while the policy still writes. An edit
//! waits for its parent and for nothing else. Every image, input or drawn, has
//! a place that others can wait for; how many calls of one tool run at once is
//! the tool's own concern.

mod call;
mod refuse;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use illumine_tools::{DrawOptions, ImageTool, Picture};
use illumine_types::tool::ToolRequest;
use illumine_types::{BlobKey, EventKind, ImageRef, Outcome, ToolCall, ToolKind};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use call::{Call, Parent};
pub(crate) use refuse::refusal;

use crate::events::Events;
use crate::pictures::PictureStore;

/// After a cancel, tools get this long to end by themselves.
const GRACE: Duration = Duration::from_secs(5);

/// An image's place.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Pending,
    Ready { picture: Picture, id: BlobKey },
    Failed { reason: String },
}

/// What the calls of one document share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) tools: Vec<Arc<dyn ImageTool>>,
    /// Tools that the request allows; all when absent.
    pub(crate) allowed: Option<Vec<ToolKind>>,
    pub(crate) options: DrawOptions,
    pub(crate) pictures: Arc<dyn PictureStore>,
    pub(crate) events: Events,
    pub(crate) call_timeout: Duration,
    pub(crate) cancel: CancellationToken,
}

/// The calls of one document. Dropping it ends them.
pub(crate) struct Scheduler {
    surroundings: Surroundings,
    places: Vec<watch::Receiver<Place>>,
    running: JoinSet<(usize, Outcome)>,
    loading: JoinSet<()>,
    outcomes: BTreeMap<usize, Outcome>,
}

impl Scheduler {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self {
            surroundings,
            places: Vec::new(),
            running: JoinSet::new(),
            loading: JoinSet::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// The number of images so far, which is the next one's index.
    pub(crate) fn images(&self) -> usize {
        self.places.len()
    }

    /// Takes the next input picture and begins to load it.
    pub(crate) fn add_input(&mut self, image: &ImageRef) {
        let (sender, receiver) = watch::channel(Place::Pending);
        self.places.push(receiver);
        let pictures = self.surroundings.pictures.clone();
        let image = image.clone();
        self.loading.spawn(async move {
            let place = match pictures.get(&image).await {
                Ok(picture) => Place::Ready {
                    picture,
                    id: image.id,
                },
                Err(error) => Place::Failed {
                    reason: error.to_string(),
                },
            };
            sender.send_replace(place);
        });
    }

    /// An image's final state, waited for.
    pub(crate) async fn image(&self, index: usize) -> Place {
        match self.places.get(index) {
            Some(place) => call::settled(place.clone()).await,
            None => Place::Failed {
                reason: "there is no such image".into(),
            },
        }
    }

    /// Starts the next image's call, or says at once why it cannot run.
    pub(crate) fn start(&mut self, call: ToolCall) {
        let tool = match refusal(&self.surroundings, &call) {
            Ok(tool) => tool,
            Err(outcome) => return self.fail(outcome),
        };
        let index = self.images();
        let parent = match call.request {
            ToolRequest::Edit { img_index, .. } => self.places.get(img_index).map(|place| Parent {
                index: img_index,
                place: place.clone(),
            }),
            _ => None,
        };
        let (sender, receiver) = watch::channel(Place::Pending);
        self.places.push(receiver);
        let call = Call {
            index,
            request: call.request,
            tool,
            parent,
        };
        let surroundings = self.surroundings.clone();
        self.running.spawn(async move {
            let (outcome, place) = call.run(&surroundings).await;
            surroundings.events.send(EventKind::ToolFinished {
                index,
                outcome: outcome.clone(),
            });
            sender.send_replace(place);
            (index, outcome)
        });
    }

    /// The next image failed before it could start.
    pub(crate) fn fail(&mut self, outcome: Outcome) {
        let index = self.images();
        let reason = match &outcome {
            Outcome::Failed { reason, .. } => reason.clone(),
            Outcome::Pending | Outcome::Ready { .. } => String::new(),
        };
        let (_, receiver) = watch::channel(Place::Failed { reason });
        self.places.push(receiver);
        self.surroundings.events.send(EventKind::ToolFinished {
            index,
            outcome: outcome.clone(),
        });
        self.outcomes.insert(index, outcome);
    }

    /// Waits for every call. After a cancel they get a short grace.
    pub(crate) async fn finish(mut self) -> BTreeMap<usize, Outcome> {
        let cancel = self.surroundings.cancel.clone();
        let expired = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::pin!(expired);
        loop {
            let joined = tokio::select! {
                joined = self.running.join_next() => joined,
                () = &mut expired => break,
            };
            match joined {
                Some(Ok((index, outcome))) => {
                    self.outcomes.insert(index, outcome);
                }
                // A panic is caught within the call; this is its task's end.
                Some(Err(error)) => tracing::error!(%error, "a tool call was lost"),
                None => break,
            }
        }
        self.outcomes
    }
}
