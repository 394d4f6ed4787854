/** The system's Chromium, as it is driven without a screen. */
import { existsSync } from "node:fs";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** None where there is no Chromium. */
export const executablePath = places.find((path) => existsSync(path));

export const noChromium = "there is no Chromium in /usr/bin";

export const chromiumArgs = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];
