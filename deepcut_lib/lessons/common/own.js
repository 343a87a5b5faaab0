// A reader's own picture: chosen, dropped, photographed, or named by its path.

const LARGEST = 1600; // longest side that is sent on, in pixels

// Large photographs are made smaller here: the way to the kernel has a limit. What this browser cannot
// read goes as it is.
async function sendable(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const scale = LARGEST / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1 && file.size < 4e6) return file;
  return drawn(bitmap, Math.min(scale, 1));
}

function drawn(source, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round((source.videoWidth ?? source.width) * scale);
  canvas.height = Math.round((source.videoHeight ?? source.height) * scale);
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}

function button(text, title, act) {
  const made = document.createElement("button");
  made.textContent = text;
  made.title = title;
  made.className = "jupyter-button";
  made.onclick = act;
  return made;
}

function render({ model, el }) {
  el.classList.add("deepcut-own");

  async function give(file, name) {
    const content = await (await sendable(file)).arrayBuffer();
    model.send({ name }, undefined, [content]);
  }

  const chooser = document.createElement("input");
  chooser.type = "file";
  chooser.accept = "image/*";
  chooser.hidden = true;
  chooser.onchange = () => {
    if (chooser.files.length) give(chooser.files[0], chooser.files[0].name);
    chooser.value = ""; // the same file can be chosen again
  };
  el.append(chooser);
  el.append(button("own photo…", "Choose a picture of yours, or drop one here", () => chooser.click()));

  for (const kind of ["dragover", "dragleave", "drop"]) {
    el.addEventListener(kind, (event) => {
      event.preventDefault();
      event.stopPropagation();
      el.classList.toggle("over", kind === "dragover");
      const dropped = kind === "drop" ? event.dataTransfer.files[0] : null;
      if (dropped) give(dropped, dropped.name);
    });
  }

  let stream = null;
  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    el.querySelector("video")?.remove();
  }
  if (navigator.mediaDevices?.getUserMedia) {
    const shutter = button("camera", "Open the camera; click again to take the picture", async () => {
      const video = el.querySelector("video");
      if (video) {
        const picture = await drawn(video, Math.min(1, LARGEST / Math.max(video.videoWidth, video.videoHeight)));
        stop();
        shutter.textContent = "camera";
        give(picture, "camera.jpg");
        return;
      }
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      } catch (problem) {
        model.send({ problem: `the camera cannot be used: ${problem.message}` });
        return;
      }
      const preview = document.createElement("video");
      preview.muted = preview.playsInline = true;
      preview.srcObject = stream;
      el.append(preview);
      await preview.play();
      shutter.textContent = "take it";
    });
    el.append(shutter);
  }

  const path = document.createElement("input");
  path.type = "text";
  path.placeholder = "or its path";
  path.title = "Path of a picture where the kernel runs; Enter opens it";
  path.onkeydown = (event) => {
    event.stopPropagation(); // letters are no commands of the notebook
    if (event.key === "Enter" && path.value.trim()) model.send({ path: path.value.trim() });
  };
  el.append(path);

  return stop;
}

export default { render };
