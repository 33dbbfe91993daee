"""Pictures of the inside of the network, made of the very tensors that edits see.

    features(inputs)    principal components of the features, layer by layer, over several pictures at once
    attention(inputs)   principal components of self-attention, or where one point of the picture looks
    words(inputs)       where the network looks for each word of the prompt, in the source and in an edit's result
    flow([clip])        which token of a keyframe each token of the frames between copies

Each returns an Inspection: ``sheet()`` draws it, ``facts()`` are its numbers, ``tensors()`` what lies behind it.
"""

from pnpvideo.inspect.attention_maps import AttentionMaps, attention
from pnpvideo.inspect.facts import Inspection
from pnpvideo.inspect.feature_maps import FeatureMaps, features
from pnpvideo.inspect.flow_maps import FlowMaps, flow
from pnpvideo.inspect.view import View
from pnpvideo.inspect.word_maps import WordMaps, words

__all__ = [
    "AttentionMaps",
    "FeatureMaps",
    "FlowMaps",
    "Inspection",
    "View",
    "WordMaps",
    "attention",
    "features",
    "flow",
    "words",
]
