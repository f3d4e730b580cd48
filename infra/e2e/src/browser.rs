//! Headless Chromium, driven by WebDriver.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

/// A browser with a fresh profile; ends with the value.
pub struct Browser {
    pub client: Client,
    session: Option<String>,
    driver: Driver,
}

/// What starts the browser and drives it.
struct Driver {
    process: Child,
    port: u16,
}

/// Below, pixels, a window is as wide as this and a phone's screen is emulated.
const NARROWEST_WINDOW: u32 = 500;
const LIMIT: Duration = Duration::from_secs(30);
/// A browser that is told to end has this long.
const ENDING: Duration = Duration::from_secs(10);

impl Browser {
    /// # Errors
    /// If Chromium or its driver is not installed or does not come up.
    pub async fn start(width: u32, height: u32, dark: bool) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver is not installed")?;
        let driver = Driver { process, port };
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--disable-dev-shm-usage".into(),
            "--hide-scrollbars".into(),
            format!("--window-size={width},{height}"),
        ];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let mut options = json!({"goog:chromeOptions": {"args": arguments}});
        if width < NARROWEST_WINDOW {
            let screen = json!({"width": width, "height": height, "pixelRatio": 1.0});
            options["goog:chromeOptions"]["mobileEmulation"] = json!({"deviceMetrics": screen});
        }
        let capabilities = options.as_object().cloned().unwrap_or_default();
        for _ in 0..100 {
            let connected = ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.clone())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await;
            if let Ok(client) = connected {
                let mut browser = Self {
                    session: client.session_id().await?,
                    client,
                    driver,
                };
                browser.resize(width, height).await?;
                return Ok(browser);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the browser does not start")
    }

    /// The page's size, also below what a window allows.
    ///
    /// # Errors
    /// If the browser is gone.
    pub async fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        self.client.set_window_size(width, height).await?;
        Ok(())
    }

    /// Waits for the element with this `data-testid`.
    ///
    /// # Errors
    /// If it does not appear.
    pub async fn find(&self, test_id: &str) -> Result<Element> {
        let selector = format!("[data-testid=\"{test_id}\"]");
        self.client
            .wait()
            .at_most(LIMIT)
            .for_element(Locator::Css(&selector))
            .await
            .with_context(|| format!("no {test_id} on the page"))
    }

    /// The visible text of the element with this `data-testid`, once there is any: a
    /// dialog is in the page, and without text, before it opens.
    ///
    /// # Errors
    /// If none appears.
    pub async fn text(&self, test_id: &str) -> Result<String> {
        self.text_at(&format!("[data-testid=\"{test_id}\"]")).await
    }

    /// The same of the first element that `selector` names.
    ///
    /// # Errors
    /// If none appears.
    pub async fn text_at(&self, selector: &str) -> Result<String> {
        let give_up = Instant::now() + LIMIT;
        loop {
            let text = self.visible_text(selector).await;
            match text {
                Ok(text) if !text.trim().is_empty() => return Ok(text),
                // The page may replace an element while it is read.
                Ok(_) | Err(_) if Instant::now() < give_up => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(_) => bail!("{selector} shows no text"),
                Err(error) => return Err(error).context(format!("no text at {selector}")),
            }
        }
    }

    async fn visible_text(&self, selector: &str) -> Result<String> {
        Ok(self
            .client
            .find(Locator::Css(selector))
            .await?
            .text()
            .await?)
    }

    /// How many elements have this `data-testid` now.
    ///
    /// # Errors
    /// If the browser is gone.
    pub async fn count(&self, test_id: &str) -> Result<usize> {
        let selector = format!("[data-testid=\"{test_id}\"]");
        Ok(self.client.find_all(Locator::Css(&selector)).await?.len())
    }

    /// Keeps a picture of the page for people to look at.
    ///
    /// # Errors
    /// If the picture cannot be taken or kept.
    pub async fn screenshot(&self, name: &str) -> Result<PathBuf> {
        let test = std::env::current_exe()?;
        let folder = test
            .ancestors()
            .nth(3)
            .context("no target folder")?
            .join("screenshots");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, self.client.screenshot().await?)?;
        Ok(file)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            let _ = self.driver.end(session);
        }
    }
}

impl Driver {
    /// Ends the session and its browser, which would outlive the driver. Blocks, since a
    /// value ends outside of async code too.
    fn end(&self, session: &str) -> std::io::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, ENDING)?;
        stream.set_read_timeout(Some(ENDING))?;
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        // Answered once the browser has ended.
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
