// A program of its own, built against an installed swath: the mean of every 3x3 window.
#include <swath/swath.hpp>

#include <cstdio>
#include <vector>

int main() {
  constexpr int64_t kSide = 32;
  const auto image_desc = swath::contiguous_desc(swath::DType::f32, {1, 1, kSide, kSide});
  const auto weight_desc = swath::contiguous_desc(swath::DType::f32, {1, 1, 3, 3});
  std::vector<float> image(kSide * kSide), weight(9, 1.0f / 9), blurred(kSide * kSide);
  for (int64_t i = 0; i < kSide * kSide; ++i) image[i] = static_cast<float>(i);

  const swath::SlidingConvParams params{.padding = {.rule = swath::PaddingRule::same}};
  const swath::Plan plan =
      swath::plan_sliding_conv(image_desc, weight_desc, nullptr, nullptr, nullptr, nullptr, params);
  const void* inputs[] = {image.data(), weight.data(), nullptr, nullptr, nullptr, nullptr};
  void* outputs[] = {blurred.data()};
  plan.run(inputs, outputs);
  // Away from the border the mean of a plane is its centre.
  std::printf("%s %.3f\n", plan.kernel().c_str(), blurred[5 * kSide + 7]);

  try {
    swath::plan_sliding_conv(image_desc, image_desc, nullptr, nullptr, nullptr, nullptr,
                             {.groups = 0});
  } catch (const swath::Error& error) {
    std::printf("%s\n", error.what());
  }
}
