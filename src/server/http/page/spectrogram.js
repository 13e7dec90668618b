// Draws a mel with its axes.

/** Around the picture in CSS pixels: room for the numbers of the axes. */
export const MARGIN = { left: 44, right: 12, top: 8, bottom: 34 };

/** Colours from silence to loud; lightness rises evenly, so that it reads without colour too. */
const COLOURS = [
  [8, 6, 22],
  [48, 18, 92],
  [112, 30, 122],
  [178, 50, 110],
  [232, 92, 82],
  [250, 158, 90],
  [252, 238, 184],
];

const FREQUENCIES = [100, 250, 500, 1000, 2000, 4000, 8000, 16000];

/** The values between which colours run: from silence to the loudest that is there. */
export function rangeOf(mel) {
  let [low, high] = [Infinity, -Infinity];
  for (let frame = 0; frame < mel.frames; frame += 1) {
    for (let band = 0; band < mel.bands; band += 1) {
      const value = mel.at(band, frame);
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return { low, high: Math.max(high, low + 1e-6) };
}

/** Draws `mel` over `seconds`. `centres` are the frequencies of its bands in Hz, `top` is where the last one ends. */
export function draw(canvas, mel, { range, seconds, centres, top }) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const box = {
    left: MARGIN.left,
    top: MARGIN.top,
    width: Math.max(1, width - MARGIN.left - MARGIN.right),
    height: Math.max(1, height - MARGIN.top - MARGIN.bottom),
  };
  context.imageSmoothingEnabled = false;
  context.drawImage(picture(mel, range), box.left, box.top, box.width, box.height);
  axes(context, box, seconds, centres, top);
}

/** One pixel for each value, low frequencies at the bottom. */
function picture(mel, range) {
  const pixels = new OffscreenCanvas(mel.frames, mel.bands);
  const context = pixels.getContext("2d");
  const image = context.createImageData(mel.frames, mel.bands);
  for (let band = 0; band < mel.bands; band += 1) {
    for (let frame = 0; frame < mel.frames; frame += 1) {
      const share = (mel.at(band, frame) - range.low) / (range.high - range.low);
      const at = 4 * ((mel.bands - 1 - band) * mel.frames + frame);
      image.data.set([...colour(share), 255], at);
    }
  }
  context.putImageData(image, 0, 0);
  return pixels;
}

function colour(share) {
  const place = Math.max(0, Math.min(1, share || 0)) * (COLOURS.length - 1);
  const below = Math.min(Math.floor(place), COLOURS.length - 2);
  const part = place - below;
  return COLOURS[below].map((value, n) => Math.round(value + part * (COLOURS[below + 1][n] - value)));
}

function axes(context, box, seconds, centres, top) {
  const style = getComputedStyle(document.body);
  context.fillStyle = style.color;
  context.strokeStyle = style.color;
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  const bottom = box.top + box.height;
  context.textAlign = "right";
  context.textBaseline = "middle";
  let last = Infinity;
  for (const hertz of FREQUENCIES) {
    const share = placeOf(hertz, centres, top);
    const y = bottom - share * box.height;
    if (share < 0 || share > 1 || last - y < 16) continue;
    last = y;
    tick(context, box.left - 4, y, box.left, y);
    context.fillText(hertz >= 1000 ? `${hertz / 1000}k` : `${hertz}`, box.left - 7, y);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  const step = stepOf(seconds, box.width / 56);
  for (let time = 0; time <= seconds + 1e-9; time += step) {
    const x = box.left + (time / seconds) * box.width;
    tick(context, x, bottom, x, bottom + 4);
    context.fillText(`${Number(time.toFixed(2))}`, x, bottom + 6);
  }
  context.fillText("seconds", box.left + box.width / 2, bottom + 20);
  context.save();
  context.translate(8, box.top + box.height / 2);
  context.rotate(-Math.PI / 2);
  context.textBaseline = "middle";
  context.fillText("Hz", 0, 0);
  context.restore();
}

function tick(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Where a frequency is among the bands, 0 at the bottom and 1 at the top. */
function placeOf(hertz, centres, top) {
  const above = centres.findIndex((centre) => centre >= hertz);
  if (above < 0) return hertz <= top ? 1 : 2;
  if (above === 0) return hertz === centres[0] ? 0.5 / centres.length : -1;
  const part = (hertz - centres[above - 1]) / (centres[above] - centres[above - 1]);
  return (above - 0.5 + part) / centres.length;
}

/** A round step that makes at most `most` ticks. */
function stepOf(seconds, most) {
  const steps = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600];
  return steps.find((step) => seconds / step <= most) ?? seconds;
}
