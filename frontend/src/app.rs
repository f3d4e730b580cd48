//! The frame, the routes, and what every page may know.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::components::{FlatRoutes, Route, Router};
use leptos_router::path;

use illumine_types::api::{Role, Session};
use illumine_types::capability::Capabilities;

use crate::api::{self, ApiError};
use crate::browser;
use crate::components::frame::{Rail, SkipLink, TopBar};
use crate::components::status::{Loading, Trouble};
use crate::pages::{
    ComparePage, ComposePage, DatasetPage, DatasetsPage, DocumentPage, GalleryPage, NewRunPage,
    NotFoundPage, RunPage, SignInPage, TrainingPage,
};

/// How often the queue's length and the tools are asked for.
const CAPABILITIES_EVERY: Duration = Duration::from_secs(10);

/// What every page may know.
#[derive(Clone, Copy)]
pub struct Installation {
    pub capabilities: RwSignal<Option<Capabilities>>,
    pub session: RwSignal<Option<Result<Session, ApiError>>>,
    /// Now, milliseconds of the server's clock; ticks every second.
    pub now_ms: RwSignal<i64>,
}

impl Installation {
    pub fn here() -> Self {
        expect_context()
    }

    fn new() -> Self {
        let this = Self {
            capabilities: RwSignal::new(None),
            session: RwSignal::new(None),
            now_ms: RwSignal::new(api::server_now_ms()),
        };
        browser::every(Duration::from_secs(1), move || {
            this.now_ms.set(api::server_now_ms());
        });
        browser::every(CAPABILITIES_EVERY, move || {
            if browser::is_visible() {
                this.refresh_capabilities();
            }
        });
        api::on_signed_out(move || {
            this.session.set(Some(Ok(Session {
                signed_in: false,
                auth: true,
                role: None,
            })));
        });
        this
    }

    /// Asks who one is, and what can be done here.
    pub fn refresh(self) {
        spawn_local(async move {
            let session = api::session().await;
            self.session.set(Some(session));
            self.refresh_capabilities();
        });
    }

    pub fn refresh_capabilities(self) {
        if !self.signed_in() {
            return;
        }
        spawn_local(async move {
            if let Ok(capabilities) = api::capabilities().await {
                self.capabilities.set(Some(capabilities));
            }
        });
    }

    fn signed_in(self) -> bool {
        let session = self.session.read_untracked();
        matches!(session.as_ref(), Some(Ok(session)) if session.signed_in)
    }

    /// Whether one is here by a key, and may leave.
    pub fn signed_in_by_key(self) -> bool {
        self.auth()
            && matches!(self.session.read().as_ref(), Some(Ok(session)) if session.signed_in)
    }

    /// Whether one may train; where no key is asked for, everyone may.
    pub fn is_admin(self) -> bool {
        matches!(self.session.read().as_ref(),
            Some(Ok(session)) if session.signed_in
                && (!session.auth || session.role == Some(Role::Admin)))
    }

    /// Whether a key is asked for here.
    pub fn auth(self) -> bool {
        matches!(self.session.read().as_ref(), Some(Ok(session)) if session.auth)
    }
}

/// What stands between a visitor and the pages.
#[derive(Clone, PartialEq)]
enum Gate {
    Asking,
    Open,
    KeyNeeded,
    Trouble(ApiError),
}

#[component]
pub fn App() -> impl IntoView {
    browser::close_menus_from_outside();
    let installation = Installation::new();
    provide_context(installation);
    installation.refresh();
    let gate = Memo::new(move |_| match installation.session.read().as_ref() {
        None => Gate::Asking,
        Some(Ok(session)) if session.signed_in => Gate::Open,
        Some(Ok(_)) => Gate::KeyNeeded,
        Some(Err(error)) => Gate::Trouble(error.clone()),
    });
    let content = move || match gate.get() {
        Gate::Asking => view! { <Loading words="Opening Illumine"/> }.into_any(),
        Gate::Open => view! { <Pages/> }.into_any(),
        Gate::KeyNeeded => view! { <SignInPage/> }.into_any(),
        Gate::Trouble(error) => {
            let retry = Callback::new(move |()| installation.refresh());
            view! { <Trouble error retry/> }.into_any()
        }
    };
    view! {
        <Router>
            <SkipLink/>
            <div class="frame">
                <Rail/>
                <div class="desk">
                    <TopBar/>
                    <main id="main" tabindex="-1">{content}</main>
                </div>
            </div>
        </Router>
    }
}

#[component]
fn Pages() -> impl IntoView {
    view! {
        <FlatRoutes fallback=|| view! { <NotFoundPage/> }>
            <Route path=path!("/") view=ComposePage/>
            <Route path=path!("/documents") view=GalleryPage/>
            <Route path=path!("/documents/:id") view=DocumentPage/>
            <Route path=path!("/training") view=TrainingPage/>
            <Route path=path!("/training/new") view=NewRunPage/>
            <Route path=path!("/training/compare") view=ComparePage/>
            <Route path=path!("/training/datasets") view=DatasetsPage/>
            <Route path=path!("/training/datasets/:id") view=DatasetPage/>
            <Route path=path!("/training/:id") view=RunPage/>
        </FlatRoutes>
    }
}
