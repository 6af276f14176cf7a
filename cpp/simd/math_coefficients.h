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
  static constexpr float kErf[] = {0x1.06eba8p-3f, -0x1.81274p-2f, 0x1.ce2d5p-4f, -0x1.b7fe9p-6f,
      0x1.542e0ep-8f, -0x1.a50af6p-11f, 0x1.4c341p-14f};
  // log(1 + z) = z - z^2 p(z), 0 <= z <= 1: degree 8, error 2^-27.0.
  static constexpr float kLog1p[] = {0x1p-1f, -0x1.55527ep-2f, 0x1.ff7d56p-3f, -0x1.94f9bp-3f,
      0x1.3edad6p-3f, -0x1.c38e3p-4f, 0x1.f2ffb8p-5f, -0x1.6654b4p-6f, 0x1.e1e05cp-9f};
  // erf(x) = 1 - exp(-p(x)), 1 <= x <= 3.95: degree 5, error 2^-25.9.
  static constexpr float kErfTail[] = {0x1.5e3b5p-9f, 0x1.1e105cp+0f, 0x1.4f197p-1f, 0x1.6b0a2ep-4f,
      -0x1.e43bc6p-7f, 0x1.2d8f2ep-10f};
  // Phi(-v) = exp(-v^2 / 2 - v (p0 + b p(b))) / 2, b = v - c, 0 <= v <= 7.5, Phi the normal
  // distribution: degree 10 in b, error 2^-24.1 until Phi is 2^-24, growing as 1 / Phi beyond.
  // The centre c is where p0 is nearly a float, so that its rounding costs nothing.
  static constexpr float kNormalCentre = 0x1.416940p1f;
  static constexpr float kNormalFitMax = 7.5f;
  static constexpr float kNormalAtCentre = 0x1.025a74p-1f;
  static constexpr float kNormal[] = {-0x1.2a3bc8p-4f, 0x1.74b13ap-7f, -0x1.be785cp-10f,
      0x1.e21c26p-13f, -0x1.aeca5p-16f, 0x1.db700cp-20f, 0x1.6b0196p-23f, -0x1.b9d626p-24f,
      0x1.5f718ap-26f, -0x1.baccb4p-30f};
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
  static constexpr double kExp[] = {0x1p-1, 0x1.555555555555ep-3, 0x1.5555555555571p-5,
      0x1.111111110e054p-7, 0x1.6c16c16c06821p-10, 0x1.a01a01b7f7f92p-13, 0x1.a01a02054ddd9p-16,
      0x1.71dde56bd735ap-19, 0x1.27e3f5785a5cep-22, 0x1.af7dc6f8109fbp-26, 0x1.20f966308a5fep-29};
  // tanh(x) = x + x^3 p(x^2), |x| <= 0.625: degree 10, error 2^-56.5.
  static constexpr double kTanh[] = {-0x1.5555555555503p-2, 0x1.111111110b06fp-3,
      -0x1.ba1ba1b52cf07p-5, 0x1.664f478138eb8p-6, -0x1.226e16c6531a1p-7, 0x1.d6cf3a2379c05p-9,
      -0x1.7d69507a63933p-10, 0x1.336a3aa669de4p-11, -0x1.df7516c8e5ed7p-13, 0x1.43d4fe3b07d33p-14,
      -0x1.0e24d63ae6a27p-16};
  // erf(x) = x + x p(x^2), |x| <= 1: degree 12, error 2^-56.2.
  static constexpr double kErf[] = {0x1.06eba8214db69p-3, -0x1.812746b037a27p-2,
      0x1.ce2f21a045b8ep-4, -0x1.b82ce313664f1p-6, 0x1.565bcd2fa8541p-8, -0x1.c02db9e164001p-11,
      0x1.f9a3cf85e3ce4p-14, -0x1.f4dec2bc8ec23p-17, 0x1.ba821664f25dep-20, -0x1.647137cf22ab4p-23,
      0x1.18124c2037d24p-26, -0x1.e48609c941791p-30, 0x1.681a435846ad2p-33};
  // log(1 + z) = z - z^2 p(z), 0 <= z <= 1: degree 20, error 2^-54.9.
  static constexpr double kLog1p[] = {0x1p-1, -0x1.55555555550fep-2, 0x1.ffffffffc3ca2p-3,
      -0x1.9999998f10e72p-3, 0x1.5555544f0ca7cp-3, -0x1.249238d85b382p-3, 0x1.fffe996a74682p-4,
      -0x1.c7113a32e1e6cp-4, 0x1.9955d6a619ed3p-4, -0x1.73202a429b2aep-4, 0x1.50c2cda88d968p-4,
      -0x1.2d87e0235977cp-4, 0x1.03f3a4cacf3f4p-4, -0x1.a0d9e95c5f26ap-5, 0x1.2a54da54e86a6p-5,
      -0x1.6cccb3cc26df7p-6, 0x1.6bc86fa42a45p-7, -0x1.1860b25cd4728p-8, 0x1.368e84fb2e5c6p-10,
      -0x1.b53d8af5fa42p-13, 0x1.24a77f55913d7p-16};
  // Phi(-v) = exp(-v^2 / 2) p((v - 5) / (v + 5)) / (1 + 1.25 v), 0 <= v <= 12: degree 20,
  // error 2^-53.
  static constexpr double kNormalCentre = 5.0;
  static constexpr double kNormalFitMax = 12.0;
  static constexpr double kNormalSlope = 1.25;
  static constexpr double kNormal[] = {0x1.1d864303d4c84p-1, -0x1.41d8de9621f81p-4,
      0x1.402b0e17394d7p-7, 0x1.0c13034c16d07p-5, -0x1.705abcacce708p-5, 0x1.2b35cdd1ecfc4p-5,
      -0x1.5b84cd8993421p-6, 0x1.1ea0ee93cf38fp-7, -0x1.19cd4b0eadc3bp-9, -0x1.8fcbfb74ad6d4p-16,
      0x1.fda8934d7a3e8p-13, -0x1.1a10f9589f2d1p-14, -0x1.d6b67d84055c2p-17, 0x1.86c0323159f1ap-17,
      0x1.363571f116194p-24, -0x1.cbeb13848ab2dp-20, 0x1.3143bf8911df5p-23, 0x1.36ea017d68927p-22,
      0x1.cf0d66baa8f2dp-29, -0x1.3af1e3827077dp-25, -0x1.0950549fa6632p-27};
  static constexpr double kSqrt2 = 0x1.6a09e667f3bcdp0;
  static constexpr double kGeluScale = 0x1.9884533d43651p0, kGeluScaleLow = -0x1.cbc0d30ebfd15p-54;
  static constexpr double kGeluCubic = 0x1.2444f2a4d8b4bp-4;
  static constexpr double kGeluCubicLow = -0x1.6c843a29d1c7p-61;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
