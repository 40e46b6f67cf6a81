// The audio of one recording, out of its block in the page.

/** Decode all tracks of a file, at the rate they were stored at: no sample is added or lost. */
async function openRecording(file) {
  const block = JSON.parse(document.getElementById(file.block).textContent);
  const decoder = new OfflineAudioContext(1, 1, block.rate);
  const tracks = await Promise.all(block.tracks.map(async (track) => ({
    signal: track.signal,
    voice: track.voice,
    gainDb: track.gainDb,
    buffer: await decoder.decodeAudioData(bytesOf(track.flac).buffer),
  })));
  return { ...block, tracks, duration: tracks[0].buffer.duration };
}

function decodingFailure(error) {
  return element("p", { class: "notice", role: "alert" }, `This browser can't decode the audio (${error.name}).`);
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}
