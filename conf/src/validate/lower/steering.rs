//! The origins of a route.

use super::{At, Flaw, Lowering};
use crate::{
    document::{self, Origins, text::Name},
    policy::{OriginId, Steering, WeightedOrigin},
};
use std::collections::HashSet;

impl Lowering<'_, '_, '_> {
    pub(super) fn steering(&mut self, written: &Origins, at: At<'_>) -> Steering {
        match written {
            Origins::List(names) => Steering::Nearest(self.listed(names, at)),
            Origins::Steered(document::Steering::Nearest(names)) => {
                Steering::Nearest(self.listed(names, at.key("nearest")))
            }
            Origins::Steered(document::Steering::Weighted(weights)) => {
                let mut origins = Vec::new();
                for (name, at) in at.key("weighted").entries() {
                    let Some(weight) = weights.get(name) else {
                        continue;
                    };
                    if let Some(index) = self.find_origin(name, at) {
                        origins.push(WeightedOrigin {
                            origin: OriginId(index),
                            weight: weight.0,
                        });
                    }
                }
                Steering::Weighted(origins)
            }
        }
    }

    fn listed(&mut self, names: &[Name], at: At<'_>) -> Vec<WeightedOrigin> {
        let mut seen = HashSet::new();
        let mut origins = Vec::with_capacity(names.len());
        for (name, at) in names.iter().zip(at.items()) {
            if !seen.insert(&name.0) {
                let flaw = Flaw::new(format!("the origin `{}` is there twice", name.0));
                self.refuse(
                    at,
                    flaw.help("for a larger share write `weighted: { NAME: 2 }`"),
                );
            }
            if let Some(index) = self.find_origin(&name.0, at) {
                let weight = self.weights.get(index).copied().unwrap_or(1);
                origins.push(WeightedOrigin {
                    origin: OriginId(index),
                    weight,
                });
            }
        }
        origins
    }

    fn find_origin(&mut self, name: &str, at: At<'_>) -> Option<usize> {
        self.origins.find(name, "origin", at, self.report)
    }
}
