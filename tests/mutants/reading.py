"""Mutants of what opens, probes and decodes clips."""

from .mutant import Mutant

_FFMPEG, _PASS = (f"pnpvideo/video/{name}.py" for name in ("ffmpeg", "decode_pass"))
_OUTCOME, _PIPE, _INFO = (f"pnpvideo/video/{name}.py" for name in ("decode_outcome", "pipe_reader", "stream_info"))
_ANIMATION, _FOLDER, _BORDER = (f"pnpvideo/video/{name}.py" for name in ("animation", "folder", "pillow_reader"))
_HOSTILE, _LIMITS, _PICTURES = (f"tests/video/test_{name}.py" for name in ("hostile", "animation_limits", "pictures"))
_CHILDREN, _TRACKS = "tests/video/test_children.py", "pnpvideo/video/tracks.py"
_CHILD = ("tests/video/test_ffmpeg.py",)

MUTANTS = (
    Mutant(
        "ffmpeg opens files and pipes only",
        _FFMPEG,
        '"-protocol_whitelist", "file,pipe", ',
        "",
        _CHILD,
    ),
    Mutant(
        "ffmpeg opens no other container",
        _FFMPEG,
        '"-format_whitelist", demuxer, ',
        "",
        _CHILD,
    ),
    Mutant(
        "ffmpeg takes the container that the first bytes say",
        _FFMPEG,
        '*("-f", demuxer, "-i", file_url(path))',
        '*("-i", file_url(path))',
        _CHILD,
    ),
    Mutant("a path is a path and no address", _FFMPEG, 'f"file:{path.absolute()}"', 'f"{path.absolute()}"', _CHILD),
    Mutant(
        "ffmpeg reads no terminal",
        _FFMPEG,
        '"-hide_banner", "-nostdin", *arguments',
        '"-hide_banner", *arguments',
        _CHILD,
    ),
    Mutant(
        "Ctrl-C reaches us alone, and all of a child can be ended", _FFMPEG, "start_new_session=True,", "", _CHILD
    ),
    Mutant(
        "a frame beyond the limit is refused by ffmpeg",
        _FFMPEG,
        '"-max_pixels", str(MAX_PIXELS)',
        '"-max_pixels", str(2**31 - 1)',
        (f"{_HOSTILE}::test_a_giant_frame_of_a_video_is_refused",),
    ),
    Mutant(
        "a frame beyond the limit is refused by its header",
        _INFO,
        "if width * height > MAX_PIXELS:",
        "if False:",
        (f"{_HOSTILE}::test_a_giant_frame_of_a_video_is_refused",),
    ),
    Mutant(
        "a clip has no more frames than the limit",
        _PASS,
        "if index >= MAX_FRAMES:",
        "if False:",
        ("tests/video/test_streams.py::test_a_video_of_too_many_frames_is_refused",),
    ),
    Mutant(
        "an animation has no more frames than the limit",
        _ANIMATION,
        "if frames > MAX_FRAMES:",
        "if False:",
        (f"{_LIMITS}::test_more_frames_than_the_cap_are_refused",),
    ),
    Mutant(
        "a small file does not unfold to much",
        _ANIMATION,
        "if pixels > most:",
        "if False:",
        (f"{_LIMITS}::test_a_small_webp_that_unfolds_to_much_is_refused",),
    ),
    Mutant(
        "a canvas is no larger than the limit",
        _ANIMATION,
        "if width * height > MAX_CANVAS_PIXELS:",
        "if False:",
        (f"{_LIMITS}::test_an_animation_on_a_giant_canvas_is_refused",),
    ),
    Mutant(
        "an animation is read in time or not at all",
        _ANIMATION,
        "if time.monotonic() > until:",
        "if False:",
        (f"{_LIMITS}::test_an_animation_that_takes_longer_than_patience_is_refused",),
    ),
    Mutant(
        "a folder has no more frames than the limit",
        _FOLDER,
        "if len(entries) > MAX_FRAMES:",
        "if False:",
        (f"{_LIMITS}::test_a_folder_of_more_frames_than_the_cap_is_refused",),
    ),
    Mutant(
        "a folder's frames have one size",
        _FOLDER,
        "if (member.info.width, member.info.height) != (width, height):",
        "if False:",
        ("tests/video/test_read.py", _PICTURES),
    ),
    Mutant(
        "a picture beyond the limit is refused unread",
        _BORDER,
        "if image.width * image.height > MAX_PIXELS:",
        "if False:",
        (f"{_HOSTILE}::test_a_giant_header_is_refused_unread",),
    ),
    Mutant(
        "whatever Pillow raises is a DecodeError",
        _BORDER,
        "    except Exception as error:  # damaged",
        "    except ValueError as error:  # damaged",
        (f"{_PICTURES}::test_what_pillow_raises_is_one_clear_line",),
    ),
    Mutant(
        "libtiff prints nothing",
        _BORDER,
        "            install(self._handler)\n",
        "            pass\n",
        (f"{_PICTURES}::test_libraries_print_nothing_and_what_they_say_is_reported",),
    ),
    Mutant(
        "what ends too soon is damage",
        _OUTCOME,
        "lost = status != 0 or damage or _LOSS.search(errors) is not None or",
        "lost = status != 0 or damage or",
        (_HOSTILE,),
    ),
    Mutant(
        "a decoder that hangs is stopped",
        _PIPE,
        "until = time.monotonic() + patience_seconds",
        "until = time.monotonic() + patience_seconds + 1000",
        (f"{_HOSTILE}::test_a_decode_that_hangs_is_stopped_and_leaves_no_child",),
    ),
    Mutant(
        "a wrapper of ffmpeg is ended with what it started",
        _FFMPEG,
        "                os.killpg(self.process.pid, signal.SIGKILL)\n",
        "                self.process.kill()\n",
        (f"{_CHILDREN}::test_a_wrapper_that_waits_for_a_hanging_ffmpeg_is_stopped_with_it",),
    ),
    Mutant(
        "a frame that comes in part is damage",
        _PIPE,
        "                raise EOFError\n",
        "                return\n",
        (f"{_CHILDREN}::test_a_frame_that_comes_in_part_is_damage",),
    ),
    Mutant(
        "frames are counted against what ffmpeg decoded",
        _OUTCOME,
        "(log.decoded is None or log.decoded > outcome.end)",
        "False",
        (f"{_CHILDREN}::test_an_ffmpeg_that_ends_early_with_success_loses_no_frame_in_silence",),
    ),
    Mutant(
        "packets that are lost in whole are said",
        _PASS,
        "(doubt := completeness.doubt()) is not None",
        "(doubt := None) is not None",
        ("tests/video/test_streams.py::test_packets_that_are_lost_in_whole_are_said",),
    ),
    Mutant(
        "the track that is flagged as default is read",
        _TRACKS,
        "candidates = [track for track in moving if track.default] or moving",
        "candidates = moving",
        ("tests/video/test_tracks.py::test_the_default_track_is_read_and_named",),
    ),
    Mutant(
        "a cover is not read instead of the film",
        _TRACKS,
        "moving = [track for track in pictures if by_index[track.index].count > 1] or list(pictures)",
        "moving = list(pictures)",
        ("tests/video/test_tracks.py",),
    ),
    Mutant(
        "a tag that is named as a track is none",
        _TRACKS,
        "_STREAM.finditer(after_tags)",
        "_STREAM.finditer(of_input)",
        ("tests/video/test_tracks.py::test_tracks_of_groups_are_listed_once_and_in_the_order_of_the_file",),
    ),
    Mutant(
        "frames come at increasing times",
        _PASS,
        "(previous is not None and pts_seconds <= previous)",
        "False",
        ("tests/video/test_ffmpeg.py::test_frames_at_one_time_are_refused",),
    ),
    Mutant(
        "a span in seconds does not end beyond the clip",
        "pnpvideo/video/read.py",
        "span.stop_seconds > latest",
        "False",
        ("tests/video/test_span.py::test_a_span_beyond_the_end_is_refused",),
    ),
    Mutant(
        "a frame belongs to the span that it begins in",
        "pnpvideo/video/read.py",
        "start = bisect_left(begins, span.start_seconds)",
        "start = max(0, bisect_left(begins, span.start_seconds) - 1)",
        ("tests/video/test_span.py::test_a_frame_belongs_to_the_span_that_it_begins_in",),
    ),
    Mutant(
        "pipes and devices are not opened",
        "pnpvideo/video/input_file.py",
        "if not stat.S_ISREG(mode):",
        "if False:",
        (f"{_HOSTILE}::test_pipes_and_devices_are_refused_unopened",),
    ),
    Mutant(
        "a sound track's description cannot drive a terminal",
        _INFO,
        "AudioTrack(codec=track.codec, description=printable(track.description))",
        "AudioTrack(codec=track.codec, description=track.description)",
        ("tests/video/test_ffmpeg.py::test_what_ffmpeg_says_of_a_sound_track_cannot_drive_a_terminal",),
    ),
    Mutant(
        "a name cannot drive a terminal",
        "pnpvideo/errors.py",
        'c if c.isprintable() else c.encode("unicode_escape").decode("ascii")',
        "c",
        (f"{_HOSTILE}::test_control_characters_of_a_name_do_not_reach_the_message",),
    ),
)  # fmt: skip
