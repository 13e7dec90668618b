// The page in a real Chromium: with a mouse, a keyboard, a finger and a voice.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { Validator } from "@seriousme/openapi-schema-validator";
import axe from "axe-core";
import { chromium } from "playwright-core";

const { OPEN, KEYED, VOICE, CHROMIUM, SHOTS } = process.env;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-audio-capture=${VOICE}`,
    ],
  });
});

after(() => browser.close());

/** The page, held to what it must never do: log an error, break its policy, or ask another host. */
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, permissions: ["microphone"], ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => {
    // That a request was refused is told to the user.
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("blob:")) wrong.push(`a request to ${request.url()}`);
  });
  await page.goto(url);
  const close = async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  };
  return { page, close };
}

const ready = (page) => page.waitForSelector("body[data-ready]");
const made = (page) => page.getByText(/s of audio, the first of it after/).waitFor({ timeout: 60_000 });

async function shoot(page, name) {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
}

/** How many colours a canvas shows: a picture has many, its axes alone a few. */
const colours = (page, id) =>
  page.evaluate((name) => {
    const canvas = document.getElementById(name);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = new Set();
    for (let at = 0; at < data.length; at += 4) found.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
    return found.size;
  }, id);

const drop = async (page, path, name, type) => {
  const bytes = [...(await readFile(path))];
  await page.evaluate(
    ([content, fileName, kind]) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(content)], fileName, { type: kind }));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    },
    [bytes, name, type],
  );
};

test("the demo is heard and seen", async () => {
  const { page, close } = await open(OPEN);
  await ready(page);
  await shoot(page, "desktop-empty");
  await page.getByRole("button", { name: "Use the demo" }).click();
  await page.getByText("demo.npy: 4.2 s, 364 frames").waitFor();
  assert.ok((await colours(page, "input-picture")) > 200);
  await page.getByLabel("Steps").fill("2");
  await page.getByLabel("Seed").fill("7");
  await page.getByRole("button", { name: "Make audio" }).click();
  await made(page);
  await page.getByRole("img", { name: /Mel spectrogram of the audio that was made: 4\.2 seconds/ }).waitFor();
  assert.ok((await colours(page, "output-picture")) > 200);
  assert.match(await page.locator("#ran").textContent(), /2 steps .*seed 7/);
  assert.match(await page.locator("#first-audio").textContent(), /^\d+ ms$/);
  assert.match(await page.locator("#length").textContent(), /^4\.23 s$/);
  assert.equal(await page.getByRole("radio", { name: "A: recording" }).isDisabled(), true);
  const saved = page.waitForEvent("download");
  await page.getByRole("link", { name: "Save B as WAV" }).click();
  const wav = await readFile(await (await saved).path());
  assert.equal(wav.subarray(0, 4).toString(), "RIFF");
  assert.equal(wav.length, 44 + 2 * 364 * 256);
  assert.ok(wav.subarray(44).some((byte) => byte !== 0));
  assert.match(await page.locator("#command").textContent(), /^curl --data-binary @mel\.npy ".*\/v1\/vocode\?steps=2&seed=7/);
  await shoot(page, "desktop-made");
  await close();
});

test("a recording is compared with what is made of it", async () => {
  const { page, close } = await open(OPEN);
  await ready(page);
  await drop(page, VOICE, "me.wav", "audio/wav");
  await page.getByText(/^me\.wav: 4\.2 s/).waitFor();
  await page.getByRole("button", { name: "Make audio" }).click();
  await made(page);
  const play = page.getByRole("button", { name: /^(Play|Pause)$/ });
  const position = async () => Number(await page.getByRole("slider", { name: "Position" }).inputValue());
  if ((await play.textContent()) === "Play") await play.click();
  const recording = page.getByRole("radio", { name: "A: recording" });
  await recording.check();
  const before = await position();
  await page.waitForFunction((least) => Number(document.getElementById("seek").value) > least, before);
  await play.click();
  await page.getByRole("button", { name: "Play" }).waitFor();
  // The place is kept from one to the other.
  const rest = await position();
  await page.getByRole("radio", { name: "B: vocode" }).check();
  assert.ok(Math.abs((await position()) - rest) <= 1);
  await shoot(page, "desktop-recording");
  await close();
});

test("a voice from the microphone becomes an input", async () => {
  const { page, close } = await open(OPEN);
  await ready(page);
  await page.getByRole("button", { name: "Record" }).click();
  await page.getByText("Recording…").waitFor();
  await page.waitForTimeout(1500);
  await page.getByRole("button", { name: "Stop recording" }).click();
  await page.getByText(/^your voice: \d\.\d s/).waitFor();
  assert.ok((await colours(page, "input-picture")) > 200);
  await page.getByRole("button", { name: "Make audio" }).click();
  await made(page);
  assert.equal(await page.getByRole("radio", { name: "A: recording" }).isEnabled(), true);
  await close();
});

test("everything is reached and done with the keyboard", async () => {
  const { page, close } = await open(OPEN);
  await ready(page);
  const focused = () => page.evaluate(() => document.activeElement.id);
  const reach = async (id) => {
    for (let presses = 0; presses < 30 && (await focused()) !== id; presses += 1) await page.keyboard.press("Tab");
    assert.equal(await focused(), id);
  };
  await reach("file");
  await shoot(page, "desktop-focus");
  await reach("record");
  await reach("demo");
  await page.keyboard.press("Enter");
  await page.getByText(/^demo\.npy: /).waitFor();
  await reach("steps");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("1");
  // Enter in a field asks for the audio.
  await page.keyboard.press("Enter");
  await made(page);
  assert.match(await page.locator("#ran").textContent(), /, 1 steps? /);
  await reach("play");
  const before = await page.locator("#play").textContent();
  await page.keyboard.press("Space");
  await page.waitForFunction((text) => document.getElementById("play").textContent !== text, before);
  if ((await page.locator("#play").textContent()) === "Pause") await page.keyboard.press("Space");
  await reach("seek");
  await page.keyboard.press("Home");
  for (let presses = 0; presses < 5; presses += 1) await page.keyboard.press("PageUp");
  assert.match(await page.locator("#seek").getAttribute("aria-valuetext"), /^[12]\.\d of 4\.2 seconds$/);
  await reach("track-b");
  await reach("download");
  await close();
});

test("it fits a phone and works by touch", async () => {
  const { page, close } = await open(OPEN, { viewport: PHONE, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  await ready(page);
  await page.getByRole("button", { name: "Use the demo" }).tap();
  await page.getByText(/^demo\.npy: /).waitFor();
  await page.getByRole("button", { name: "Make audio" }).tap();
  await made(page);
  await page.getByRole("img", { name: /audio that was made/ }).waitFor();
  const { width, small } = await page.evaluate(() => {
    const controls = [...document.querySelectorAll("button, .button, select, .fields input, .tracks label")];
    const seen = controls.filter((element) => element.getClientRects().length > 0);
    return {
      width: document.documentElement.scrollWidth,
      small: seen.filter((element) => element.getBoundingClientRect().height < 40).map((element) => element.outerHTML),
    };
  });
  assert.equal(width, PHONE.width);
  assert.deepEqual(small, []);
  await shoot(page, "phone-made");
  await close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`nothing of it is out of reach of a screen reader, in ${colorScheme}`, async () => {
    const { page, close } = await open(OPEN, { bypassCSP: true, colorScheme });
    await ready(page);
    const violations = async () => {
      await page.evaluate(axe.source);
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
    };
    assert.deepEqual(await violations(), []);
    await page.getByRole("button", { name: "Use the demo" }).click();
    await page.getByText(/^demo\.npy: /).waitFor();
    await page.getByRole("button", { name: "Make audio" }).click();
    await made(page);
    await page.getByRole("img", { name: /audio that was made/ }).waitFor();
    assert.deepEqual(await violations(), []);
    await shoot(page, `desktop-${colorScheme}`);
    await close();
  });
}

test("what cannot be used is told in the server's words", async () => {
  const { page, close } = await open(OPEN);
  await ready(page);
  await drop(page, new URL("package.json", import.meta.url), "notes.txt", "text/plain");
  const alert = page.getByRole("alert");
  await alert.waitFor();
  assert.match(await alert.textContent(), /audio/);
  await page.getByRole("button", { name: "Use the demo" }).click();
  await page.getByText(/^demo\.npy: /).waitFor();
  assert.equal(await alert.isVisible(), false);
  await page.getByLabel("Mel convention").selectOption("lmnt");
  await page.getByRole("button", { name: "Make audio" }).click();
  await alert.waitFor();
  assert.match(await alert.textContent(), /cannot be converted exactly/);
  await shoot(page, "desktop-problem");
  await close();
});

test("a call that is stopped keeps what came of it", async () => {
  const { page, close } = await open(OPEN);
  await ready(page);
  await page.getByRole("button", { name: "Use the demo" }).click();
  await page.getByText(/^demo\.npy: /).waitFor();
  // As if the server took its time: the answer's head comes, and nothing after it.
  await page.route("**/v1/vocode?**", () => {});
  await page.getByRole("button", { name: "Make audio" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Make audio" }).isEnabled(), true);
  await close();
});

test("a server with keys asks for one, and it is sent", async () => {
  const { page, close } = await open(KEYED);
  const field = page.getByLabel("This server asks for a key");
  await field.fill("no-key");
  await page.getByRole("button", { name: "Use it" }).click();
  await field.waitFor();
  await field.fill("a-key");
  await page.getByRole("button", { name: "Use it" }).click();
  await ready(page);
  await page.getByRole("button", { name: "Use the demo" }).click();
  await page.getByText(/^demo\.npy: /).waitFor();
  await page.getByRole("button", { name: "Make audio" }).click();
  await made(page);
  assert.match(await page.locator("#command").textContent(), /Bearer \$KEY/);
  await close();
});

test("the description is OpenAPI", async () => {
  const document = await (await fetch(`${OPEN}openapi.json`)).json();
  const { valid, errors } = await new Validator().validate(document);
  assert.ok(valid, JSON.stringify(errors));
});
