// Draws avatars. Reads a job from stdin, {style, options, frame, seed, width, indices}, and writes one line of JSON per
// avatar: {index, parts, png}, the picture in base64. Run by node in the folder that holds the packages.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createAvatar } from '@dicebear/core';
import * as styles from '@dicebear/collection';
import { Resvg } from '@resvg/resvg-js';

const { style, options, frame, seed, width, indices } = JSON.parse(readFileSync(0, 'utf8'));

for (const index of indices) {
  // A digest, as the seeds of neighbours must not look alike.
  const own = createHash('sha256').update(`${style} ${seed} ${index}`).digest('hex');
  const { svg, extra } = createAvatar(styles[style], { ...options, seed: own }).toJson();
  const { primaryBackgroundColor: background } = extra;

  // The picture shows the square `frame` of the drawing; the background fills it, also beyond the drawing's edge.
  const framed = svg.replace(/viewBox="[^"]*"/, `viewBox="${frame.join(' ')}"`);
  const picture = new Resvg(framed, { background, fitTo: { mode: 'width', value: width } }).render();

  const parts = Object.entries(extra).filter(([name]) => !/Color$|^background/.test(name));
  const reported = { ...Object.fromEntries(parts.map(([name, value]) => [name, value ?? ''])), background };
  console.log(JSON.stringify({ index, parts: reported, png: picture.asPng().toString('base64') }));
}
