"""Why models of some kinds of Hugging Face's transformers are not read, by the name of their kind.

The parts of a configuration tell it too, so that kinds that are newer than this table have a reason
as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """Why a model is not read, and the way round; empty for none but the kinds that are read."""

    why: str
    way: str = ""


DENSE = "import a model of the same family whose layers are dense"
EXPERTS = Reason("because its hidden layers are mixtures of experts", DENSE)
SOUND = Reason(
    "because it takes or makes sound, and int8ref computes texts alone",
    "import a model that takes and writes texts",
)
PICTURES = Reason(
    "because it takes or makes pictures, and int8ref computes texts alone",
    "import a model of texts, which many families have beside it",
)
RECURRENT = Reason(
    "because it is no Transformer: its layers carry a recurrent state or a convolution",
    "import a Transformer of that size",
)
SERIES = Reason("because it forecasts series of numbers and not texts")
RELATIVE = Reason(
    "because its attention compares places by matrices of their own, which int8ref does not have",
    "import a model of BERT's or RoBERTa's kind",
)
SPARSE = Reason(
    "because its attention or its layers leave out or join tokens in a way of their own",
    "import a model whose attention is full",
)
LAYOUT = Reason(
    "because it takes the places of words on a page beside the words",
    "import a model that takes texts alone",
)
MOLECULES = Reason("because it reads proteins or molecules and not texts")
ENCODERS = Reason(
    "because it is an encoder of another form than BERT's and RoBERTa's",
    "import a model of BERT's or RoBERTa's kind",
)
OTHER_DECODERS = Reason(
    "because its layers differ from those of the families that are read",
    "import a model of one of these families",
)
PAIRS = Reason(
    "because it is an encoder and a decoder of two other models, or of another form",
    "import a model of Marian's, BART's or T5's kind",
)
SEARCH = Reason("because it is a part of a system that retrieves texts or acts, and not one model")

KINDS: dict[Reason, str] = {
    EXPERTS: """
        afmoe axk1 axk2 bailing_hybrid dbrx deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4
        dots1 dots3_note dots3_note_text flex_olmo glm_moe_dsa gpt_oss hunyuan_v1_moe hy_v3 hy_v4
        jetmoe longcat_flash mimo_v2_flash minimax minimax_m2 mistral4 mistral_large4
        mistral_large4_text mixtral nllb-moe olmoe phimoe qwen3_next sarvam_mla laguna solar_open
        step3p5 step3p7 switch_transformers youtu zaya""",
    SOUND: """
        bark canary canary_decoder clap clvp clvp_decoder clvp_encoder csm dac dia dia_decoder
        dia_encoder encodec fastspeech2_conformer fun_asr_nano fun_asr_nano_encoder glmasr
        glmasr_encoder granite_speech hubert kyutai_speech_to_text lasr_ctc lasr_encoder mimi
        moonshine moonshine_streaming moonshine_streaming_encoder moshi moshi_depth musicflamingo
        musicgen musicgen_decoder musicgen_melody musicgen_melody_decoder neucodec parakeet_ctc
        parakeet_encoder parakeet_rnnt pocket_tts pop2piano seamless_m4t seamless_m4t_v2 sew sew-d
        speech-encoder-decoder speech_to_text speecht5 speecht5_hifigan unispeech unispeech-sat
        univnet vibevoice vits voxtral voxtral_encoder voxtral_realtime
        voxtral_realtime_encoder wav2vec2 wav2vec2-bert wav2vec2-conformer
        wavlm wavtokenizer whisper xcodec xcodec2""",
    PICTURES: """
        aimv2 align altclip aria beit bit blip blip-2 bridgetower chameleon chinese_clip clip
        clipseg cvt deepseek_vl deit detr dinat dinov2 donut-swin dpt efficientnet emu3 flava
        florence2 focalnet fuyu gemma3 gemma3n gemma4 git glpn groupvit hiera idefics idefics2
        idefics3 ijepa imagegpt instructblip internvl janus kosmos-2 kosmos-2.5 levit llama4
        llama4_text llava llava_next llava_onevision lxmert maskformer mgp-str mistral3 mllama
        mllama_text_model mobilevit nougat ovis2 owlv2 owlvit paligemma perception_lm
        phi4_multimodal pix2struct pixtral poolformer pvt qwen2_5_omni qwen3_5 qwen3_5_moe regnet
        resnet sam segformer shieldgemma2 siglip siglip2 smolvlm swin table-transformer trocr tvp
        apertus1p5 chmv2 cohere_compass colqwen2 cosmos3_edge d_fine deimv2 diffusion_gemma edgetam
        edgetam_mask_decoder edgetam_prompt_encoder efficientloftr eomt exaone4_5 gemma4_unified
        glm46v glm4v glm5_next glmga granite_docling hgnet_v2 inkling2 inkling2_loop kimi_k25
        lightglue mask2former minicpmv4_6 minicpmv4_7 mobilenet_v1 mobilenet_v2 modernvbert molmo2
        muse_glimmer muse_spark omdet-turbo oneformer pi0 pp_chart2table pp_formulanet pvt_v2
        qwen4_exp radio sapiens2 sapiens2_head seggpt slanet slanext superglue superpoint
        perceiver swiftformer textnet timesformer tipsv2 tipsv2_dpt udop upernet uvdoc
        uvdoc_backbone vipllava vjepa2
        videomae vilt vision-encoder-decoder vision-text-dual-encoder visual_bert vit
        yolos zoedepth""",
    RECURRENT: """
        bamba falcon_h1 falcon_mamba granitemoehybrid jamba kimi_linear lfm2 lfm2_moe lfm3 mamba
        mamba2 nemotron_h olmo_hybrid recurrent_gemma rwkv xlstm zamba zamba2""",
    SERIES: """
        autoformer informer patchtsmixer patchtst time_series_transformer timesfm timesfm2_5""",
    RELATIVE: "deberta deberta-v2 funnel xlnet",
    SPARSE: """
        big_bird bigbird_pegasus blt canine fnet led longformer longt5 mra nystromformer pegasus_x
        reformer yoso""",
    LAYOUT: "bros layoutlm layoutlmv2 layoutlmv3 layoutxlm lilt markuplm",
    MOLECULES: "esm esmc esmfold2 evolla",
    ENCODERS: """
        bert-generation convbert data2vec-text ernie eurobert flaubert gte ibert
        jina_embeddings_v3 luke megatron-bert mobilebert modernbert neomme nomic_bert
        openai_privacy_filter rembert roberta-prelayernorm roc_bert roformer splinter
        squeezebert tapas xlm xlm-roberta-xl xmod""",
    OTHER_DECODERS: """
        apertus biogpt bitnet cpmant ctrl cwm diffllama dory doge exaone exaone4 flint
        gpt_neox_japanese granite_swa hrm_text hunyuan_v1_dense hyperclovax internlm3 iquestcoder
        jais2 kolibri1 lara_mini mellum minicpm3 ministral3 modernbert-decoder nanochat openai-gpt
        persimmon vaultgemma""",
    PAIRS: """
        blenderbot blenderbot-small encoder-decoder mvp plbart prophetnet t5_gemma_module t5gemma
        t5gemma2 t5gemma2_decoder t5gemma2_encoder t5gemma2_text""",
    SEARCH: "decision_transformer dpr rag",
}  # fmt: skip
BY_KIND = {kind: reason for reason, listed in KINDS.items() for kind in listed.split()}

NAMES: tuple[tuple[re.Pattern[str], Reason], ...] = (
    (re.compile(r".*moe.*|.*_experts"), EXPERTS),
    (
        re.compile(
            r".*(audio|speech|asr|codec|_tts|voice|sound|wav|hifigan|whisper|diarization"
            r"|transcribe|parakeet).*"
        ),
        SOUND,
    ),
    (
        re.compile(
            r".*(vision|image|video|visual|vit|clip|ocr|_vl|_vlm|pix|dino|detr|sam[23_]|ijepa"
            r"|convnext|segment|doclayout|multimodal|_mm_|vq|swin|qformer|omni|lcnet|pali|siglip"
            r"|vlm|resnet|yolo|timm|det_model|depth).*"
        ),
        PICTURES,
    ),
    (re.compile(r".*(mamba|rwkv|lstm|hyena|ssm|retnet).*"), RECURRENT),
    (re.compile(r".*(timeseries|time_series|forecast).*"), SERIES),
)
"""Words in the names of kinds that the table lacks."""

PART = re.compile(r"(.+?)_(?:text|text_model|perceiver|mask_decoder|assistant)")
"""A part of a model that has a kind of its own."""

EXPERT_COUNTS = (
    "moe_num_experts", "n_routed_experts", "num_experts", "num_experts_per_tok",
    "num_local_experts",
)  # fmt: skip
PARTS = (
    (("audio_config", "speech_config", "num_mel_bins"), SOUND),
    (("vision_config", "image_size", "num_channels", "vision_tower"), PICTURES),
    (("ssm_cfg", "state_size", "conv_kernel", "mamba_d_state"), RECURRENT),
)
"""Keys of a configuration that tell of a part that is not read."""


def reason(told: Mapping[str, Any]) -> Reason | None:
    """Why a model of this configuration is not read; None where nothing tells that."""
    kind = told.get("model_type")
    if isinstance(kind, str) and kind in BY_KIND:
        return BY_KIND[kind]
    if has_experts(told):
        return EXPERTS
    for keys, found in PARTS:
        if any(told.get(key) is not None for key in keys):
            return found
    name = kind if isinstance(kind, str) else ""
    base = PART.fullmatch(name)
    if base and base[1] in BY_KIND:
        return BY_KIND[base[1]]
    return next((found for words, found in NAMES if words.fullmatch(name)), None)


def has_experts(told: Mapping[str, Any]) -> bool:
    """Whether a configuration tells of several experts."""
    counts = [told.get(key) for key in EXPERT_COUNTS]
    return any(isinstance(count, int) and count > 1 for count in counts)
