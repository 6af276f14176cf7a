// Polynomials of simd/math.h. Own minimax fits (Remez exchange in 50-digit arithmetic, coefficients
// rounded one by one from the lowest, the rest fitted again). The stated error is the largest
// relative error that the polynomial causes in the function it serves. Lowest power first.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

template <class T>
struct MathTable;

template <>
struct MathTable<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr int32_t kExponentBias = 127;
  // Adding it rounds to an integer, which is then in the low bits of the sum.
  static constexpr float kRound = 0x1.8p23f;
  static constexpr float kLog2e = 0x1.715476p0f;
  // ln 2 in two parts; the first has 15 bits, so that its product with an exponent is exact.
  static constexpr float kLn2High = 0x1.62e4p-1f;
  static constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  // exp is 0 below and infinity above.
  static constexpr float kExpMin = -105.0f;
  static constexpr float kExpMax = 89.0f;
  // expm1 is -1 below, tanh(x / 2) is 1 above, erf(x) is 1 above.
  static constexpr float kExpm1Min = -20.0f;
  static constexpr float kTanhMax = 20.0f;
  static constexpr float kErfMax = 4.0f;
  // Far enough for exp(-x^2 / 2) = 0 and for gelu_tanh = 0.
  static constexpr float kNormalMax = 15.0f;
  static constexpr float kGeluTanhMax = 12.0f;
  // Below it expm1(x) rounds to x.
  static constexpr float kTiny = 0x1p-30f;

  // exp(r) = 1 + r + r^2 p(r), |r| <= 0.3475: degree 4, error 2^-27.8.
  static constexpr float kExp[] = {0x1p-1f, 0x1.555464p-3f, 0x1.5552fap-5f, 0x1.12593ap-7f,
                                   0x1.6ff30ap-10f};
  // tanh(x) = x + x^3 p(x^2), |x| <= 0.625: degree 4, error 2^-27.8.
  static constexpr float kTanh[] = {-0x1.555534p-2f, 0x1.11075ep-3f, -0x1.b842c4p-5f, 0x1.524c4p-6f,
                                    -0x1.767a12p-8f};
  // erf(x) = x + x p(x^2), |x| <= 1: degree 6, error 2^-29.5.
  static constexpr float kErf[] = {0x1.06eba8p-3f, -0x1.81274p-2f,   0x1.ce2d5p-4f, -0x1.b7fe9p-6f,
                                   0x1.542e0ep-8f, -0x1.a50af6p-11f, 0x1.4c341p-14f};
  // log(1 + z) = z - z^2 p(z), 0 <= z <= 1: degree 8, error 2^-27.0.
  static constexpr float kLog1p[] = {0x1p-1f,        -0x1.55527ep-2f, 0x1.ff7d56p-3f,
                                     -0x1.94f9bp-3f, 0x1.3edad6p-3f,  -0x1.c38e3p-4f,
                                     0x1.f2ffb8p-5f, -0x1.6654b4p-6f, 0x1.e1e05cp-9f};
  // erf(x) = 1 - exp(-p(x)), 1 <= x <= 3.95: degree 5, error 2^-25.9.
  static constexpr float kErfTail[] = {0x1.5e3b5p-9f,  0x1.1e105cp+0f,  0x1.4f197p-1f,
                                       0x1.6b0a2ep-4f, -0x1.e43bc6p-7f, 0x1.2d8f2ep-10f};
  // Phi(-v) = exp(-v^2 / 2 - v (p0 + b p(b))) / 2, b = v - c, 0 <= v <= 7.5, Phi the normal
  // distribution: degree 11 in b, error 2^-28 until Phi is 2^-24, growing as 1 / Phi beyond.
  // The centre c is where p0 is nearly a float, so that its rounding costs nothing, and right of
  // the middle, since v multiplies the rounding of b p(b).
  static constexpr float kNormalCentre = 0x1.cdf0cp1f;
  static constexpr float kNormalFitMax = 7.5f;
  static constexpr float kNormalAtCentre = 0x1.bee246p-2f;
  static constexpr float kNormal[] = {-0x1.b1befap-5f,  0x1.d31a4ep-8f,   -0x1.f43f8ap-11f,
                                      0x1.fe98b6p-14f,  -0x1.deaad2p-17f, 0x1.814364p-20f,
                                      -0x1.a4d198p-24f, 0x1.2d3f6ep-32f,  0x1.32dep-30f,
                                      -0x1.94c5c6p-31f, 0x1.80c662p-33f};
  // The normal distribution's density at 0.
  static constexpr float kNormalDensity = 0x1.988454p-2f;
  // gelu_tanh's 2 sqrt(2 / pi) and its product with 0.044715, in two parts each.
  static constexpr float kGeluScale = 0x1.988454p0f, kGeluScaleLow = -0x1.857936p-25f;
  static constexpr float kGeluCubic = 0x1.2444f2p-4f, kGeluCubicLow = 0x1.49b16ap-29f;
};

template <>
struct MathTable<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr int64_t kExponentBias = 1023;
  static constexpr double kRound = 0x1.8p52;
  static constexpr double kLog2e = 0x1.71547652b82fep0;
  static constexpr double kLn2High = 0x1.62e42fefa3p-1;  // 41 bits
  static constexpr double kLn2Low = 0x1.3de6af278ece6p-42;
  static constexpr double kExpMin = -750.0;
  static constexpr double kExpMax = 710.0;
  static constexpr double kExpm1Min = -40.0;
  static constexpr double kTanhMax = 40.0;
  static constexpr double kErfMax = 6.0;
  static constexpr double kNormalMax = 39.0;
  static constexpr double kGeluTanhMax = 22.0;
  static constexpr double kTiny = 0x1p-60;

  // exp(r) = 1 + r + r^2 p(r), |r| <= 0.3475: degree 10, error 2^-62.9.
  static constexpr double kExp[] = {0x1p-1,
                                    0x1.555555555555ep-3,
                                    0x1.5555555555571p-5,
                                    0x1.111111110e054p-7,
                                    0x1.6c16c16c06821p-10,
                                    0x1.a01a01b7f7f92p-13,
                                    0x1.a01a02054ddd9p-16,
                                    0x1.71dde56bd735ap-19,
                                    0x1.27e3f5785a5cep-22,
                                    0x1.af7dc6f8109fbp-26,
                                    0x1.20f966308a5fep-29};
  // tanh(x) = x + x^3 p(x^2), |x| <= 0.625: degree 10, error 2^-56.5.
  static constexpr double kTanh[] = {
      -0x1.5555555555503p-2,  0x1.111111110b06fp-3,  -0x1.ba1ba1b52cf07p-5,  0x1.664f478138eb8p-6,
      -0x1.226e16c6531a1p-7,  0x1.d6cf3a2379c05p-9,  -0x1.7d69507a63933p-10, 0x1.336a3aa669de4p-11,
      -0x1.df7516c8e5ed7p-13, 0x1.43d4fe3b07d33p-14, -0x1.0e24d63ae6a27p-16};
  // erf(x) = x + x p(x^2), |x| <= 1: degree 12, error 2^-56.2.
  static constexpr double kErf[] = {
      0x1.06eba8214db69p-3,  -0x1.812746b037a27p-2,  0x1.ce2f21a045b8ep-4,  -0x1.b82ce313664f1p-6,
      0x1.565bcd2fa8541p-8,  -0x1.c02db9e164001p-11, 0x1.f9a3cf85e3ce4p-14, -0x1.f4dec2bc8ec23p-17,
      0x1.ba821664f25dep-20, -0x1.647137cf22ab4p-23, 0x1.18124c2037d24p-26, -0x1.e48609c941791p-30,
      0x1.681a435846ad2p-33};
  // log(1 + z) = z - z^2 p(z), 0 <= z <= 1: degree 20, error 2^-54.9.
  static constexpr double kLog1p[] = {0x1p-1,
                                      -0x1.55555555550fep-2,
                                      0x1.ffffffffc3ca2p-3,
                                      -0x1.9999998f10e72p-3,
                                      0x1.5555544f0ca7cp-3,
                                      -0x1.249238d85b382p-3,
                                      0x1.fffe996a74682p-4,
                                      -0x1.c7113a32e1e6cp-4,
                                      0x1.9955d6a619ed3p-4,
                                      -0x1.73202a429b2aep-4,
                                      0x1.50c2cda88d968p-4,
                                      -0x1.2d87e0235977cp-4,
                                      0x1.03f3a4cacf3f4p-4,
                                      -0x1.a0d9e95c5f26ap-5,
                                      0x1.2a54da54e86a6p-5,
                                      -0x1.6cccb3cc26df7p-6,
                                      0x1.6bc86fa42a45p-7,
                                      -0x1.1860b25cd4728p-8,
                                      0x1.368e84fb2e5c6p-10,
                                      -0x1.b53d8af5fa42p-13,
                                      0x1.24a77f55913d7p-16};
  // Phi(-v) = exp(-v^2 / 2) (p0 + t p(t)) / (1 + 1.25 v), t = (v - c) / (v + c), 0 <= v <= 12:
  // degree 20 in t, error 2^-58. As above, c is where p0 is nearly a double.
  static constexpr double kNormalCentre = 0x1.415ap2;
  static constexpr double kNormalFitMax = 12.0;
  static constexpr double kNormalSlope = 1.25;
  static constexpr double kNormalAtCentre = 0x1.1d70904260c28p-1;
  static constexpr double kNormal[] = {
      -0x1.41acdde88e7a1p-4, 0x1.4c5411f2306acp-7,   0x1.08a1b3f0995efp-5,
      -0x1.6ee1831aca6fbp-5, 0x1.2c19482a9aba8p-5,   -0x1.5fb10435c3afdp-6,
      0x1.263ef6d0cb8cp-7,   -0x1.2af24285a5ee5p-9,  0x1.386d1f4d451e9p-16,
      0x1.fa5e1ba74b57ep-13, -0x1.30ded5d76eca6p-14, -0x1.956fcf4ec316ap-17,
      0x1.91b4744bebd2cp-17, -0x1.472f3d7a27543p-22, -0x1.c8b104da1ade5p-20,
      0x1.bee69fa0c90a3p-23, 0x1.2d2493660b5f3p-22,  -0x1.fe41b5811837cp-27,
      -0x1.68c62b1f41fep-25, -0x1.1a7712d3aa778p-27};
  static constexpr double kNormalDensity = 0x1.9884533d43651p-2;
  static constexpr double kSqrt2 = 0x1.6a09e667f3bcdp0;
  static constexpr double kGeluScale = 0x1.9884533d43651p0, kGeluScaleLow = -0x1.cbc0d30ebfd15p-54;
  static constexpr double kGeluCubic = 0x1.2444f2a4d8b4bp-4;
  static constexpr double kGeluCubicLow = -0x1.6c843a29d1c7p-61;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
