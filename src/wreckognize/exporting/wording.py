"""The words of the model card, English and Korean."""

from __future__ import annotations

from collections.abc import Iterator

from wreckognize.evidence.findings import Findings, SystemFindings
from wreckognize.evidence.intervals import Proportion
from wreckognize.exporting.card import Card, CardFigure, Text
from wreckognize.exporting.gate import Comparison
from wreckognize.exporting.manifest import Manifest, PersonBand
from wreckognize.exporting.source import Source

_TITLES = {
    "damaged_found": Text(en="damaged vehicles found", ko="파손 차량을 찾은 비율"),
    "normal_found": Text(en="intact vehicles found", ko="정상 차량을 찾은 비율"),
    "false_alarms": Text(
        en="photos without a vehicle called a vehicle (false alarms)",
        ko="차량이 없는 사진을 차량이라고 한 비율(오경보)",
    ),
    "precision": Text(
        en="of the photos called a vehicle, those that show one", ko="차량이라고 한 사진 중 실제로 차량인 비율"
    ),
    "roc_area": Text(
        en="chance that a damaged vehicle scores higher than a photo without one (ROC area)",
        ko="파손 차량이 차량 없는 사진보다 점수가 높을 확률(ROC 면적)",
    ),
    "damaged_found_at_0.05": Text(
        en="damaged vehicles found at 5 % false alarms", ko="오경보 5 %에서 찾은 파손 차량"
    ),
    "map50_95": Text(en="mAP50-95 against boxes that people drew", ko="사람이 그린 상자 기준 mAP50-95"),
}
_BAND_TITLES = {
    "to_a_person": Text(en="photos that go to a person", ko="담당자에게 넘어가는 사진"),
    "misses": Text(
        en='with "to a person": vehicles answered "no vehicle"',
        ko="3단계 판정 시 차량을 '차량 없음'으로 답한 비율",
    ),
    "alarms": Text(
        en='with "to a person": photos without one answered "vehicle"',
        ko="3단계 판정 시 차량 없는 사진을 '차량 있음'으로 답한 비율",
    ),
}
_VEHICLE = Text(
    en="A vehicle is a car, bus or truck seen from outside, whole or any part of its body. Interiors, engine bays and "
    "loose parts are not.",
    ko="차량이란 외부에서 본 승용차, 버스, 트럭의 전체 또는 차체 일부를 말합니다. 실내, 엔진룸, 분리된 부품은 "
    "해당하지 않습니다.",
)
_NOT_DAMAGE = Text(
    en="It says whether a photo shows a vehicle, where, and how sure it is. It says nothing about damage, its extent "
    "or cost, and nothing about whether a photo is genuine or belongs to the claim.",
    ko="사진에 차량이 있는지, 어디에 있는지, 얼마나 확실한지만 알려 줍니다. 파손의 정도나 비용, 사진의 진위나 "
    "해당 사고의 사진인지는 판단하지 않습니다.",
)
_LIKE_THESE = Text(
    en="Its figures hold for photos like those it was measured on. Other cameras, countries, seasons or kinds of photo "
    "may give others: watch what it answers, and measure anew on your own photos.",
    ko="수치는 측정에 쓰인 사진과 비슷한 사진에만 해당합니다. 카메라, 국가, 계절, 사진 종류가 다르면 결과가 달라질 "
    "수 있으니 결과를 지켜보고 자체 사진으로 다시 측정하십시오.",
)
_ERRS = Text(
    en="It errs. No claim should be refused by it alone: a person must be able to look at the photo.",
    ko="오류가 있을 수 있습니다. 이 결과만으로 보험금 청구를 거절해서는 안 되며, 사람이 사진을 확인할 수 있어야 "
    "합니다.",
)
_UNTRAINED = Text(
    en="This study did not train it. A detector that learned from everyday photos misses many badly damaged or "
    "close-up vehicles.",
    ko="이 연구에서 학습하지 않은 모델입니다. 일반 사진으로 학습한 모델은 심하게 파손되었거나 가까이 찍은 차량을 많이 "
    "놓칩니다.",
)
_LICENCE = Text(
    en="The software is Apache-2.0. The network is of the YOLO family and was made or read with Ultralytics "
    "(AGPL-3.0), whose publisher also claims the AGPL for models trained with it; judge for yourself whether that "
    "claim binds you before you hand this model on or offer it as a service. Pretrained weights and the photos that it "
    "learned from have terms of their own.",
    ko="소프트웨어는 Apache-2.0입니다. 모델은 YOLO 계열이며 Ultralytics(AGPL-3.0)로 만들거나 읽었고, 그 배포자는 "
    "이를 사용해 학습한 모델에도 AGPL이 적용된다고 주장합니다. 모델을 배포하거나 서비스로 제공하기 전에 이 주장이 "
    "적용되는지 직접 판단하십시오. 사전 학습 가중치와 학습 사진에는 별도의 조건이 있습니다.",
)


def card_of(source: Source, manifest: Manifest, comparison: Comparison) -> Card:
    """The card of a bundle.

    Args:
        source: what it is made from.
        manifest: complete but for files, version and hash.
        comparison: with the original.
    """
    figures, note = _figures(source, manifest)
    return Card(
        title=manifest.name,
        about=_about(source, manifest),
        data=source.background.data,
        figures=figures,
        figures_note=note,
        decision=_decision(manifest),
        parity=_parity(comparison),
        limits=tuple(_limits(source, manifest, comparison)),
        licence=_LICENCE,
        forced=not comparison.passed,
    )


def _about(source: Source, manifest: Manifest) -> Text:
    known = source.background
    made_en = (
        f"trained by this study from {known.weights}"
        if known.trained
        else f"{known.weights}, which it did not train"
    )
    made_ko = (
        f"이 연구에서 {known.weights}로부터 학습함"
        if known.trained
        else f"이 연구에서 학습하지 않은 {known.weights}"
    )
    kind = f"{manifest.engine}, {manifest.precision}, {manifest.imgsz} px"
    return Text(
        en=f"Says whether a photo shows a vehicle, and where. System {source.system} of the study {source.study}, "
        f"{made_en}; {kind}.",
        ko=f"사진에 차량이 있는지, 어디에 있는지 판단합니다. 연구 {source.study}의 시스템 {source.system}, {made_ko}; "
        f"{kind}.",
    )


def _decision(manifest: Manifest) -> Text:
    score_en = "A photo's score is the highest confidence among its vehicle boxes. "
    score_ko = "사진의 점수는 차량 상자의 신뢰도 중 가장 높은 값입니다. "
    band = manifest.to_a_person
    if band is None:
        cut = f"{manifest.threshold.value:g}"
        return Text(
            en=f'{score_en}"vehicle" from {cut} on, else "no vehicle" ({manifest.threshold.rule}).',
            ko=f"{score_ko}{cut} 이상이면 '차량 있음', 그보다 낮으면 '차량 없음'입니다.",
        )
    return Text(en=score_en + _band_en(band), ko=score_ko + _band_ko(band))


def _band_en(band: PersonBand) -> str:
    low = f'"no vehicle" below {band.low:g}' if band.low is not None else '"no vehicle" is never answered'
    high = f'"vehicle" from {band.high:g} on' if band.high is not None else '"vehicle" is never answered'
    return f'{low}, {high}, anything else goes "to a person".'


def _band_ko(band: PersonBand) -> str:
    low = f"{band.low:g} 미만이면 '차량 없음'" if band.low is not None else "'차량 없음'으로 답하지 않음"
    high = f"{band.high:g} 이상이면 '차량 있음'" if band.high is not None else "'차량 있음'으로 답하지 않음"
    return f"{low}, {high}, 나머지는 '사람이 확인해야 함'입니다."


def _parity(comparison: Comparison) -> Text:
    photos, flipped = comparison.photos, len(comparison.flips)
    high = comparison.flipped.high
    up_to = f"{100 * high:.2g} %" if high is not None else "–"
    verdict_en = "agrees with" if comparison.passed else "does NOT agree with"
    verdict_ko = "일치합니다" if comparison.passed else "일치하지 않습니다"
    return Text(
        en=f"Compared with the original (torch, float32) on {photos} validation photos: {flipped} decided otherwise "
        f"(95 % interval up to {up_to}; allowed {100 * comparison.max_flips:g} %), largest shift of a score "
        f"{comparison.score_shift_max:.4f}. The bundle {verdict_en} the original.",
        ko=f"검증 사진 {photos}장에서 원본(torch, float32)과 비교: {flipped}장의 판정이 다름(95 % 구간 상한 {up_to}, "
        f"허용 {100 * comparison.max_flips:g} %), 점수 차이 최대 {comparison.score_shift_max:.4f}. 원본과 "
        f"{verdict_ko}.",
    )


def _limits(source: Source, manifest: Manifest, comparison: Comparison) -> Iterator[Text]:
    known = source.background
    if known.notice:
        yield Text(en=known.notice, ko=f"연구의 알림: {known.notice}")
    if not comparison.passed:
        yield Text(
            en=f"Written by force: {comparison.why}. Figures of the original do not hold for it.",
            ko="검사를 통과하지 못했지만 강제로 만들어졌습니다. 원본의 수치는 이 모델에 해당하지 않습니다.",
        )
    yield _VEHICLE
    yield _NOT_DAMAGE
    if not known.trained:
        yield _UNTRAINED
    yield _LIKE_THESE
    yield _ERRS
    band = manifest.to_a_person
    if band is not None and (band.low is None or band.high is None):
        third = source.frozen.third_answer
        yield Text(
            en="One verdict is never given: "
            + "; ".join(
                why for cut, why in ((band.low, third.why_low), (band.high, third.why_high)) if cut is None
            ),
            ko="약속한 오류 한도를 지키는 기준값을 찾지 못해 한 가지 판정은 내리지 않으며, 해당 사진은 담당자에게 "
            "넘어갑니다.",
        )
    if comparison.remark:
        yield Text(
            en=f"Few validation photos: {comparison.remark}.",
            ko=f"검증 사진이 적습니다({comparison.photos}장). 원본과 다른 판정의 비율이 허용치 이하라고 단정할 수 "
            "없습니다.",
        )


def _figures(source: Source, manifest: Manifest) -> tuple[tuple[CardFigure, ...], Text]:
    findings = source.background.findings
    if findings is None:
        return (), Text(
            en="The run has no report yet, so there are no figures here: `wreckognize report STUDY.yaml`, then export "
            "again.",
            ko="아직 보고서가 없어 수치가 없습니다. `wreckognize report STUDY.yaml` 실행 후 다시 내보내십시오.",
        )
    own = next((one for one in findings.systems if one.name == source.system), None)
    row = next((one for one in findings.judged.rows if one.name == source.system), None)
    if own is None or row is None or source.frozen not in own.frozen:
        return (), Text(
            en="The run's report is not about this system with these thresholds: `wreckognize report STUDY.yaml`, then "
            "export again.",
            ko="보고서가 이 시스템과 기준값에 대한 것이 아닙니다. `wreckognize report STUDY.yaml` 실행 후 다시 "
            "내보내십시오.",
        )
    figures = [
        CardFigure(
            name=name,
            title=title,
            share=estimate.value,
            low=estimate.low,
            high=estimate.high,
            photos=estimate.photos,
            groups=estimate.groups,
        )
        for name, title in _TITLES.items()
        if (estimate := row.figures.get(name)) is not None and estimate.value is not None
    ]
    if manifest.to_a_person is not None:
        figures += _band_figures(own)
    return tuple(figures), _note(findings, row.seeds, source, manifest)


def _band_figures(own: SystemFindings) -> Iterator[CardFigure]:
    third = own.third_answer
    shares: dict[str, Proportion] = {
        "to_a_person": third.to_a_person,
        "misses": third.misses,
        "alarms": third.false_alarms,
    }
    for name, found in shares.items():
        if found.share is not None:
            yield CardFigure(
                name=name,
                title=_BAND_TITLES[name],
                share=found.share,
                low=found.low,
                high=found.high,
                photos=found.photos,
                groups=found.groups,
            )


def _note(findings: Findings, seeds: int, source: Source, manifest: Manifest) -> Text:
    judged = findings.judged
    cut = f"{source.frozen.chosen.threshold:g}"
    level = f"{100 * judged.level:g} %"
    looks = findings.test.looks_by_system.get(source.system, 0)
    several_en = several_ko = ""
    if seeds > 1:
        own = (source.number or 0) + 1
        several_en = f", averaged over {seeds} trainings of which this is number {own}"
        several_ko = f" {seeds}회 학습의 평균이며 이 모델은 그중 {own}번째입니다."
    two_en = ' Figures without "to a person" are at that one threshold.' if manifest.to_a_person else ""
    return Text(
        en=f"Measured with the original at the threshold {cut} on the study's locked test set: {judged.photos} photos "
        f"in {judged.groups} groups, {judged.vehicle} with a vehicle and {judged.background} without "
        f"(looks at it so far: {looks}){several_en}; intervals at {level}.{two_en}",
        ko=f"잠긴 시험 사진 {judged.photos}장({judged.groups}개 그룹, 차량 {judged.vehicle}장, 차량 없음 "
        f"{judged.background}장)에서 원본으로 기준값 {cut}에서 측정했습니다. 구간은 {level}입니다.{several_ko}",
    )
