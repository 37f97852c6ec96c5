//! A key that all spellings of a molecule share: a hash of its heavy atoms, their hydrogens and isotopes, and who is
//! bonded to whom. Bond orders, charges and stereo are left out, because spellings differ in them (aromatic or not, nitro
//! groups); few different molecules agree in the rest.

/// An atom as the key sees it.
#[derive(Debug, Clone, Copy)]
pub struct Vertex {
    pub element: u8,
    pub isotope: u16,
    /// Hydrogens that are no vertices themselves.
    pub hydrogens: u8,
}

/// How far apart two features may be for their distance to count, in bonds.
const ROUNDS: usize = 8;

/// The key. The order of vertices and bonds, and of a bond's two ends, does not matter. Each round every vertex takes in
/// what its neighbours knew (Weisfeiler and Leman 1968).
pub fn key(vertices: &[Vertex], bonds: &[(usize, usize)]) -> u64 {
    let first = |v: &Vertex| mixed(u64::from(v.element) << 32 | u64::from(v.isotope) << 8 | u64::from(v.hydrogens));
    let mut colours: Vec<u64> = vertices.iter().map(first).collect();
    let mut around = vec![0u64; colours.len()];
    for _ in 0..ROUNDS {
        around.fill(0);
        for &(a, b) in bonds {
            around[a] = around[a].wrapping_add(colours[b]);
            around[b] = around[b].wrapping_add(colours[a]);
        }
        for (colour, around) in colours.iter_mut().zip(&around) {
            *colour = mixed(colour.rotate_left(17) ^ *around);
        }
    }
    mixed(colours.iter().fold(vertices.len() as u64, |all, colour| all.wrapping_add(*colour)))
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): every bit of the input moves about half of those of the output.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
