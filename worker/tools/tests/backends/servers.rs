//! What the real services answer.

use illumine_config::{Secret, ToolSettings};
use serde_json::{Value, json};

use crate::world::settings;

pub const KEY: &str = "k3y-that-must-not-be-seen";

/// SerpAPI's Google Images engine, as its documentation shows it.
pub fn serpapi(originals: &[String]) -> Value {
    let results: Vec<Value> = originals
        .iter()
        .enumerate()
        .map(|(index, original)| {
            json!({
                "position": index + 1,
                "thumbnail": "https://serpapi.com/searches/6/images/c9.jpeg",
                "related_content_id": "bm9uZQ==",
                "serpapi_related_content_link": "https://serpapi.com/search.json?engine=google_images_related_content",
                "source": "Wikipedia",
                "source_logo": "https://serpapi.com/searches/6/images/f1.png",
                "title": format!("Fox {index} -  Wikipedia"),
                "link": format!("https://en.wikipedia.org/wiki/Fox_{index}"),
                "original": original,
                "original_width": 4000,
                "original_height": 3000,
                "is_product": false
            })
        })
        .collect();
    json!({
        "search_metadata": {"id": "64f", "status": "Success", "json_endpoint": "https://serpapi.com/searches/1/64f.json"},
        "search_parameters": {"engine": "google_images", "q": "fox", "device": "desktop"},
        "search_information": {"image_results_state": "Results for exact spelling"},
        "suggested_searches": [{"name": "arctic", "link": "https://www.google.com/search?q=fox"}],
        "images_results": results
    })
}

/// SerpAPI without results, status 200.
pub fn serpapi_nothing() -> Value {
    json!({
        "search_metadata": {"id": "64f", "status": "Success"},
        "search_information": {"image_results_state": "Fully empty"},
        "error": "Google hasn't returned any results for this query."
    })
}

pub fn searxng(img_src: &str) -> Value {
    json!({
        "query": "fox",
        "number_of_results": 0,
        "results": [{
            "template": "images.html",
            "url": "https://www.flickr.com/photos/1/2",
            "thumbnail_src": "https://live.staticflickr.com/1/2_n.jpg",
            "img_src": img_src,
            "content": "A fox in the snow",
            "title": "Red fox",
            "source": "Jane Doe",
            "img_format": "jpg 640 x 480",
            "resolution": "640x480",
            "engine": "flickr",
            "parsed_url": ["https", "www.flickr.com", "/photos/1/2", "", "", ""],
            "engines": ["flickr"],
            "positions": [1],
            "score": 1.0,
            "category": "images"
        }],
        "answers": [], "corrections": [], "infoboxes": [], "suggestions": [],
        "unresponsive_engines": [["bing images", "timeout"]]
    })
}

pub fn openverse(mature: &str, good: &str) -> Value {
    let result = |url: &str, mature: bool| {
        json!({
            "id": "4bc43a04-ef46-4544-a0c1-63c63f56e276",
            "title": "Red Fox in Snow",
            "indexed_on": "2020-05-03T05:48:27.285165Z",
            "foreign_landing_url": "https://www.flickr.com/photos/18090920@N07/14527182746",
            "url": url,
            "creator": "Jane Doe",
            "creator_url": "https://www.flickr.com/photos/18090920@N07",
            "license": "by-sa",
            "license_version": "2.0",
            "license_url": "https://creativecommons.org/licenses/by-sa/2.0/",
            "provider": "flickr",
            "source": "flickr",
            "category": null,
            "filesize": null,
            "filetype": null,
            "tags": [{"name": "fox", "accuracy": null}],
            "attribution": "\"Red Fox in Snow\" by Jane Doe is licensed under CC BY-SA 2.0.",
            "fields_matched": ["title"],
            "mature": mature,
            "height": 680,
            "width": 1024,
            "thumbnail": "https://api.openverse.org/v1/images/4bc43a04/thumb/",
            "detail_url": "https://api.openverse.org/v1/images/4bc43a04/",
            "unstable__sensitivity": []
        })
    };
    json!({
        "result_count": 2, "page_count": 1, "page_size": 20, "page": 1,
        "results": [result(mature, true), result(good, false)],
        "warnings": []
    })
}

pub fn qwen(images: &[String]) -> Value {
    json!({"status": "success", "images": images})
}

pub fn ark_error(code: &str) -> Value {
    json!({"error": {
        "code": code,
        "message": format!("The request failed. Request id: 0217 key {KEY}"),
        "param": "", "type": "BadRequest"
    }})
}

pub fn with_serpapi(url: &str) -> ToolSettings {
    let mut settings = settings();
    settings.search = vec!["serpapi".into()];
    settings.serp_api_key = Some(Secret::new(KEY));
    settings.serp_api_url = format!("{url}/search.json");
    settings
}

pub fn with_ark(url: &str) -> ToolSettings {
    let mut settings = settings();
    settings.ark_api_key = Some(Secret::new(KEY));
    settings.ark_base_url = format!("{url}/api/v3/");
    settings
}

pub fn with_openai(url: &str) -> ToolSettings {
    let mut settings = settings();
    settings.openai_images_api_key = Some(Secret::new(KEY));
    settings.openai_images_base_url = format!("{url}/v1");
    settings
}

pub fn with_qwen(urls: &[String]) -> ToolSettings {
    let mut settings = settings();
    settings.qwen_image_servers = urls.to_vec();
    settings.qwen_edit_servers = urls.to_vec();
    settings
}
