//! The numbers Boltz reports, in its own JSON layout: confidence per sample and affinity per
//! ligand. All drawn from the input's hash; only their ranges and relations are meant.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::assembly::Chain;
use crate::draws::Draws;

type Pairs<T> = BTreeMap<String, T>;

/// `confidence_*.json`: 0 to 1, except the two `pde` in Å. Chains go by position, as text.
#[derive(Debug, Serialize)]
pub struct Confidence {
    pub confidence_score: f64,
    ptm: f64,
    iptm: f64,
    ligand_iptm: f64,
    protein_iptm: f64,
    complex_plddt: f64,
    complex_iplddt: f64,
    complex_pde: f64,
    complex_ipde: f64,
    chains_ptm: Pairs<f64>,
    pair_chains_iptm: Pairs<Pairs<f64>>,
    simulated: bool,
}

/// `affinity_*.json`: values are log10 of the IC50 in µM (lower is stronger), probabilities 0
/// to 1; the headline is the mean of the two models'.
#[derive(Debug, Serialize)]
pub struct Affinity {
    affinity_pred_value: f64,
    affinity_probability_binary: f64,
    affinity_pred_value1: f64,
    affinity_probability_binary1: f64,
    affinity_pred_value2: f64,
    affinity_probability_binary2: f64,
    simulated: bool,
}

/// One sample of a structure: what the model thinks of it.
#[derive(Debug)]
pub struct Sample {
    pub confidence: Confidence,
    /// 0 to 1 per token.
    pub plddt: Vec<f32>,
}

impl Sample {
    /// `quality` (0 to 1) is the record's, `draws` the sample's own.
    pub fn draw(chains: &[Chain], quality: f64, draws: &mut Draws) -> Self {
        let quality = (quality + draws.between(-0.05, 0.05)).clamp(0.0, 1.0);
        let mut plddt = Vec::new();
        for chain in chains {
            let level = if chain.is_protein() { 0.72 } else { 0.55 } + 0.22 * quality;
            plddt.extend((0..chain.tokens()).map(|_| (level + draws.between(-0.05, 0.05)) as f32));
        }
        let confidence = confidence(chains, quality, mean(&plddt), draws);
        Self { confidence, plddt }
    }
}

fn confidence(chains: &[Chain], quality: f64, plddt: f64, draws: &mut Draws) -> Confidence {
    let interfaces = chains.len() > 1;
    let proteins = chains.iter().filter(|chain| chain.is_protein()).count();
    let score = single(0.45 + 0.5 * quality);
    // Without such an interface the real tool writes 0 too.
    let if_any = |there: bool, value: f64| if there { single(value) } else { 0.0 };
    let iptm = if_any(interfaces, score);
    let ptm = single(score + draws.between(-0.03, 0.03));
    let own = draws.between(0.02, 0.04);
    let pair = |a: usize, b: usize| match (a == b, a < b) {
        (true, _) => single(ptm + own),
        (_, true) => iptm,
        _ => single(iptm - 0.04),
    };
    let all = || 0..chains.len();
    let row = |a: usize| all().map(|b| (b.to_string(), pair(a, b))).collect::<Pairs<f64>>();
    let complex_plddt = single(plddt);
    let ranked = if interfaces { iptm } else { ptm };
    Confidence {
        confidence_score: single(0.8 * complex_plddt + 0.2 * ranked),
        ptm,
        iptm,
        ligand_iptm: if_any(interfaces && proteins < chains.len(), score),
        protein_iptm: if_any(proteins > 1, score - 0.02),
        complex_plddt,
        complex_iplddt: single(plddt - draws.between(0.01, 0.06)),
        complex_pde: single(2.2 - 1.7 * quality),
        complex_ipde: single(5.0 - 4.0 * quality),
        chains_ptm: all().map(|a| (a.to_string(), pair(a, a))).collect(),
        pair_chains_iptm: all().map(|a| (a.to_string(), row(a))).collect(),
        simulated: true,
    }
}

impl Affinity {
    /// Larger ligands tend to bind better; values lie between −3.5 and 2 and are never 0.
    pub fn draw(heavy_atoms: usize, draws: &mut Draws) -> Self {
        let trend = 1.0 - 0.05 * heavy_atoms.min(45) as f64;
        let value = (trend + 0.8 * draws.bell()).clamp(-3.2, 1.7);
        let spread = draws.between(0.02, 0.25);
        let (first, second) = (single(value - spread), single(value + spread));
        let value = Some(single(f64::midpoint(first, second)));
        let value = value.filter(|value| *value != 0.0).unwrap_or(0.001);
        let likely = 1.0 / (1.0 + (1.4 * (value - 0.1) + 0.5 * draws.bell()).exp());
        let likely = likely.clamp(0.03, 0.97);
        let spread = draws.between(0.0, 0.025);
        let (likely1, likely2) = (single(likely + spread), single(likely - spread));
        Self {
            affinity_pred_value: value,
            affinity_probability_binary: single(f64::midpoint(likely1, likely2)),
            affinity_pred_value1: first,
            affinity_probability_binary1: likely1,
            affinity_pred_value2: second,
            affinity_probability_binary2: likely2,
            simulated: true,
        }
    }
}

/// Rounds to single precision, in which the model computes: the digits look alike.
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

fn mean(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    sum / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinities_are_plausible_and_their_headline_is_the_mean_of_both_models() {
        for n in 0..500_usize {
            let a = Affinity::draw(n % 60, &mut Draws::of(&[&n.to_string()]));
            let mean = f64::midpoint(a.affinity_pred_value1, a.affinity_pred_value2);
            assert!((a.affinity_pred_value - mean).abs() < 1e-6);
            assert!((-3.5..2.0).contains(&a.affinity_pred_value) && a.affinity_pred_value != 0.0);
            for p in [a.affinity_probability_binary, a.affinity_probability_binary1] {
                assert!((0.0..1.0).contains(&p));
            }
        }
    }

    #[test]
    fn strong_binders_are_likely_binders() {
        let draws = |n: usize| Affinity::draw(n % 60, &mut Draws::of(&[&n.to_string()]));
        let (strong, weak): (Vec<_>, Vec<_>) = (0..500).map(draws).partition(|a| a.affinity_pred_value < 0.0);
        let likely =
            |all: &[Affinity]| all.iter().map(|a| a.affinity_probability_binary).sum::<f64>() / all.len() as f64;
        assert!(likely(&strong) > likely(&weak) + 0.2);
    }
}
