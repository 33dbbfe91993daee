"""Find what is wrong with a command before the model libraries load, which takes seconds.

The same checks are made again where the work is done: there they hold for calls from Python too.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pnpvideo.settings.options import Options


def check_run(source: Path | None, prompt: str | None, output: Path | str, options: "Options") -> None:
    """Raise the error that translating ``source`` into ``output`` would end with, as far as names and files tell."""
    from pnpvideo.video.destination import check_place
    from pnpvideo.words.prompt_weights import check_weights

    check_weights(prompt, options.prompts.negative, options.prompts.source_prompt)
    if source is not None and not options.generate:
        check_input(source, options.reading.track)
    check_place(output, source, options.overwrite)
    if options.runtime.preview_every is not None:
        from pnpvideo.video.step_picture import step_picture_path

        step_picture_path(options.runtime.preview_file, output, source)
    check_options(options)


def check_input(source: Path, track: int | None = None) -> None:
    """Raise InputError for a path that holds nothing that can be read."""
    from pnpvideo.video.input_file import recognise

    recognise(source, track)


def check_options(options: "Options") -> None:
    """Raise the error of a file that an option names and that is not there, of a device that no machine has, and of
    what the model cannot do, as far as its folder tells."""
    from pnpvideo.backends.autoencoder_file import AutoencoderFile, tiny_file
    from pnpvideo.backends.checkpoint import check_named
    from pnpvideo.backends.controlnet_file import ControlNetFile
    from pnpvideo.backends.device import check_device_name
    from pnpvideo.backends.embedding_file import embeddings_of
    from pnpvideo.backends.hub import local_folder
    from pnpvideo.backends.joint_limits import check_joint_options
    from pnpvideo.backends.lora_file import LoraFile
    from pnpvideo.settings.models import resolve
    from pnpvideo.words.direction_check import check_direction_file

    for companion in (options.region.mask, *options.control.brought()):
        if companion is not None:
            check_input(companion)
    check_device_name(options.runtime.device)
    for path, _ in options.prompts.directions:
        check_direction_file(Path(path))
    if options.prompts.captioner is not None:
        local_folder(options.prompts.captioner)
    check_named(resolve(options.model))  # last: of what is sound it reads headers, for which numpy is loaded
    check_joint_options(resolve(options.model), options)
    if options.customization.vae is not None:
        AutoencoderFile.of(options.customization.vae)
    if options.runtime.preview_vae is not None:
        tiny_file(options.runtime.preview_vae)
    for control in options.control.stated():
        ControlNetFile.of(Path(control.model))
    for file, scale in options.customization.lora:
        LoraFile.of(Path(file), scale)
    embeddings_of(options.customization.embedding)
