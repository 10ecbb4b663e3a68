//! MD5 (RFC 1321), SHA-1 (RFC 3174), SHA-256 (FIPS 180-4) and HMAC (RFC 2104): protocols of the line-based kind print
//! them. They serve to play a conversation, not to protect anything.

/// A digest over blocks of 64 bytes (Merkle and Damgård).
pub(super) trait Digest {
    type State: AsRef<[u32]>;
    /// Whether words and the length are written with their largest byte first.
    const BIG_ENDIAN: bool;

    fn start() -> Self::State;
    fn block(state: &mut Self::State, words: &[u32; 16]);
}

/// The digest of some bytes.
pub(super) fn hash<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    let mut state = D::start();
    let mut blocks = bytes.chunks_exact(64);
    for block in &mut blocks {
        absorb::<D>(&mut state, block);
    }
    // The last bytes, a one bit, zeros, and the length in bits.
    let rest = blocks.remainder();
    let mut tail = [0; 128];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    let bits = (bytes.len() as u64).wrapping_mul(8);
    tail[end - 8..end].copy_from_slice(&if D::BIG_ENDIAN { bits.to_be_bytes() } else { bits.to_le_bytes() });
    for block in tail[..end].chunks_exact(64) {
        absorb::<D>(&mut state, block);
    }
    let bytes_of = |word: &u32| if D::BIG_ENDIAN { word.to_be_bytes() } else { word.to_le_bytes() };
    state.as_ref().iter().flat_map(bytes_of).collect()
}

/// The keyed digest of some bytes.
pub(super) fn hmac<D: Digest>(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    if key.len() > 64 {
        let short = hash::<D>(key);
        block[..short.len()].copy_from_slice(&short);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let with = |pad: u8, bytes: &[u8]| {
        let padded: Vec<u8> = block.iter().map(|byte| byte ^ pad).chain(bytes.iter().copied()).collect();
        hash::<D>(&padded)
    };
    with(0x5c, &with(0x36, bytes))
}

fn absorb<D: Digest>(state: &mut D::State, block: &[u8]) {
    let mut words = [0; 16];
    for (word, four) in words.iter_mut().zip(block.chunks_exact(4)) {
        let four = [four[0], four[1], four[2], four[3]];
        *word = if D::BIG_ENDIAN { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) };
    }
    D::block(state, &words);
}

pub(super) struct Md5;

impl Digest for Md5 {
    type State = [u32; 4];
    const BIG_ENDIAN: bool = false;

    fn start() -> [u32; 4] {
        [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]
    }

    fn block(state: &mut [u32; 4], words: &[u32; 16]) {
        const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
        let [mut a, mut b, mut c, mut d] = *state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            // RFC 1321, section 3.4: the integer part of 2^32 times the sine of the step, in radians.
            let sine = (f64::from(step as u32 + 1).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(sine).wrapping_add(words[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(TURNS[step / 16][step % 4]));
        }
        add(state, [a, b, c, d]);
    }
}

pub(super) struct Sha1;

impl Digest for Sha1 {
    type State = [u32; 5];
    const BIG_ENDIAN: bool = true;

    fn start() -> [u32; 5] {
        [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
    }

    fn block(state: &mut [u32; 5], words: &[u32; 16]) {
        let mut schedule = [0_u32; 80];
        schedule[..16].copy_from_slice(words);
        for t in 16..80 {
            schedule[t] = (schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = *state;
        for (t, word) in schedule.iter().enumerate() {
            let (mixed, constant) = match t / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let sum = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(*word).wrapping_add(constant);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum);
        }
        add(state, [a, b, c, d, e]);
    }
}

pub(super) struct Sha256;

/// FIPS 180-4, section 4.2.2: the first 32 bits of the fractions of the cube roots of the first 64 primes.
const ROOTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
];

impl Digest for Sha256 {
    type State = [u32; 8];
    const BIG_ENDIAN: bool = true;

    fn start() -> [u32; 8] {
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19]
    }

    fn block(state: &mut [u32; 8], words: &[u32; 16]) {
        let mut schedule = [0_u32; 64];
        schedule[..16].copy_from_slice(words);
        for t in 16..64 {
            let (near, far) = (schedule[t - 2], schedule[t - 15]);
            let small = far.rotate_right(7) ^ far.rotate_right(18) ^ far >> 3;
            let large = near.rotate_right(17) ^ near.rotate_right(19) ^ near >> 10;
            schedule[t] = schedule[t - 16].wrapping_add(small).wrapping_add(schedule[t - 7]).wrapping_add(large);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        for (word, root) in schedule.iter().zip(ROOTS) {
            let turned = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let chosen = e & f ^ !e & g;
            let first = h.wrapping_add(turned).wrapping_add(chosen).wrapping_add(root).wrapping_add(*word);
            let turned = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let second = turned.wrapping_add(a & b ^ a & c ^ b & c);
            (h, g, f, e) = (g, f, e, d.wrapping_add(first));
            (d, c, b, a) = (c, b, a, first.wrapping_add(second));
        }
        add(state, [a, b, c, d, e, f, g, h]);
    }
}

fn add<const N: usize>(state: &mut [u32; N], more: [u32; N]) {
    for (word, more) in state.iter_mut().zip(more) {
        *word = word.wrapping_add(more);
    }
}
