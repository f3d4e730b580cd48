// The chosen colours before the first paint. A file, so that the page needs no
// inline script.
try {
  const theme = localStorage.getItem("illumine-theme");
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
  }
} catch {
  // A browser that keeps nothing follows the system.
}
