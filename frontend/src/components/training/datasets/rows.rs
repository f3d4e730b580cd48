use illumine_types::dataset::{Dataset, DatasetRow, DatasetRows, RowPicture, Split};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_query_map;

use crate::api::{self, ApiError};
use crate::components::status::{Loading, Trouble};
use crate::state::training::dataset::{PAGE, image_num_name, page_at, place, split_name};
use crate::state::words::{counted, grouped, tool_name};

/// Characters beyond which a prompt is folded.
const FOLDED: usize = 220;

/// The rows that the address names, and the way to others.
#[component]
pub fn Rows(dataset: Dataset) -> impl IntoView {
    let id = StoredValue::new(dataset.id.to_string());
    let query = use_query_map();
    let wanted = Memo::new(move |_| {
        let query = query.read();
        place(|name| query.get(name))
    });
    let answer = RwSignal::new(None::<Result<DatasetRows, ApiError>>);
    let load = move |(split, offset): (Split, usize)| {
        spawn_local(async move {
            let rows = api::dataset_rows(&id.get_value(), split, offset, PAGE).await;
            // One may have turned the page meanwhile.
            if !answer.is_disposed() && wanted.get_untracked() == (split, offset) {
                answer.set(Some(rows));
            }
        });
    };
    Effect::new(move |_| load(wanted.get()));
    let retry = Callback::new(move |()| load(wanted.get_untracked()));
    let content = move || match answer.get() {
        None => view! { <Loading words="Fetching rows"/> }.into_any(),
        Some(Err(error)) => view! { <Trouble error retry/> }.into_any(),
        Some(Ok(rows)) if rows.total == 0 => view! {
            <p class="nothing-yet">"This dataset has no rows for this."</p>
        }
        .into_any(),
        Some(Ok(rows)) => view! { <Page id=id.get_value() rows/> }.into_any(),
    };
    let tabs = Split::ALL.map(|split| {
        let count = dataset.summary.by_split.get(&split).copied().unwrap_or(0);
        let here = move || (wanted.read().0 == split).then_some("true");
        view! {
            <a class="tab" data-noscroll="" href=page_at(&id.get_value(), split, 0) aria-current=here
                data-testid=format!("rows-{}", split.as_str())>
                {format!("{}, {}", split_name(split), grouped(count))}
            </a>
        }
    });
    view! {
        <section class="run-more" aria-label="Rows">
            <h2 class="sr-only">"Rows"</h2>
            <nav class="tabs" aria-label="Splits">{tabs.collect_view()}</nav>
            <div class="tab-panel">{content}</div>
        </section>
    }
}

#[component]
fn Page(id: String, rows: DatasetRows) -> impl IntoView {
    let DatasetRows {
        split,
        offset,
        total,
        items,
    } = rows;
    let last = offset + items.len();
    let turn = |to: Option<usize>, words: &'static str| match to {
        Some(to) => view! {
            <a class="button" data-noscroll="" href=page_at(&id, split, to)>{words}</a>
        }
        .into_any(),
        None => view! { <span class="button" aria-disabled="true">{words}</span> }.into_any(),
    };
    let before = turn((offset > 0).then(|| offset.saturating_sub(PAGE)), "Earlier");
    let after = turn((last < total).then_some(last), "Later");
    let place = match items.len() {
        0 => format!("There are only {}", counted(total, "row")),
        _ => format!(
            "{} to {} of {}",
            grouped(offset + 1),
            grouped(last),
            grouped(total)
        ),
    };
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Rows">
            <table class="data-table rows" data-testid="rows">
                <thead><tr>
                    <th>"Prompt"</th>
                    <th>"Tools"</th>
                    <th>"To show"</th>
                    <th>"Given"</th>
                    <th>"From"</th>
                </tr></thead>
                <tbody>{items.into_iter().map(|row| view! { <Row row/> }).collect_view()}</tbody>
            </table>
        </div>
        <p class="actions turn">
            {before}
            <span role="status" data-testid="rows-place">{place}</span>
            {after}
        </p>
    }
}

#[component]
fn Row(row: DatasetRow) -> impl IntoView {
    let tools = row.tools.iter().map(|tool| tool_name(*tool));
    let tools = tools.collect::<Vec<_>>().join(", ");
    let more = if row.cut { "…" } else { "" };
    let long = row.prompt.chars().count() > FOLDED;
    let text = format!("{}{more}", row.prompt);
    let prompt = match long {
        true => view! { <details><summary>{text}</summary></details> }.into_any(),
        false => view! { <p>{text}</p> }.into_any(),
    };
    let chat = (row.messages > 1).then(|| {
        view! { <p class="help">{format!("The last of {}", counted(row.messages, "message"))}</p> }
    });
    let source = (!row.source.is_empty()).then(|| view! { <p>{row.source}</p> });
    let pictures = row.pictures.into_iter();
    view! {
        <tr data-testid="row">
            <td class="row-prompt">{prompt}{chat}</td>
            <td>{if tools.is_empty() { "none".to_owned() } else { tools }}</td>
            <td>{image_num_name(row.image_num)}</td>
            <td><span class="row-pictures">{pictures.map(|picture| view! { <Given picture/> }).collect_view()}</span></td>
            <td class="help">{source}<p>{format!("{}, row {}", row.file, row.row)}</p></td>
        </tr>
    }
}

/// A picture that comes with the prompt, small or as its size.
#[component]
fn Given(picture: RowPicture) -> impl IntoView {
    let size = format!("{} × {}", picture.width, picture.height);
    match picture.thumbnail {
        Some(address) => {
            let words = format!("Picture of {size} pixels");
            view! { <img src=address alt=words title=size/> }.into_any()
        }
        None => view! { <span class="help">{size}</span> }.into_any(),
    }
}
