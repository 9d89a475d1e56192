# Checks of errata in the tables of section 5.3 and the text about them. The numbers are those of
# the tables, from python/sense/reproduce/paper.csv.

paper_table <- function(experiment, attack) {
  numbers <- table_of_paper("paper.csv")
  numbers[numbers$experiment == experiment & numbers$attack == attack, ]
}

# The sign of the rank correlation of accuracy under PGD with c.
check_sign_of_c <- function(n, seed) {
  rows <- paper_table("table5", "pgd")
  checked(-1, 1, sign(stats::cor(rows$c, rows$value, method = "kendall")), 0)
}

check_half_of_robustness <- function(n, seed) {
  best <- paper_table("table3", "pgd")
  half <- max(best$value[best$method %in% c("trades", "mart")]) / 2
  checked(4, 3, sum(paper_table("table6", "pgd")$value > half), 0)
}

# Weights of a convolution of 3 x 3 without bias; scale and shift of a batch norm.
conv_size <- function(from, to, width = 3) from * to * width^2
norm_size <- function(channels) 2 * channels

# WideResNet with three groups of (depth - 4) / 6 blocks, layer by layer. A block has two batch norms
# and two convolutions, and a convolution of 1 x 1 if the number of channels changes.
wide_resnet_size <- function(depth, widen) {
  channels <- 16
  size <- conv_size(3, channels)
  for (width in 16 * widen * c(1, 2, 4)) {
    for (block in seq_len((depth - 4) / 6)) {
      size <- size + norm_size(channels) + conv_size(channels, width) + norm_size(width) + conv_size(width, width)
      if (channels != width) size <- size + conv_size(channels, width, 1)
      channels <- width
    }
  }
  size + norm_size(channels) + 10 * channels + 10
}

# ResNet for CIFAR10 with three groups of (depth - 2) / 6 blocks, whose shortcuts have no weights.
resnet_size <- function(depth) {
  channels <- 16
  size <- conv_size(3, channels) + norm_size(channels)
  for (width in c(16, 32, 64)) {
    for (block in seq_len((depth - 2) / 6)) {
      size <- size + conv_size(channels, width) + norm_size(width) + conv_size(width, width) + norm_size(width)
      channels <- width
    }
  }
  size + 10 * channels + 10
}

check_ratio_of_sizes <- function(n, seed) {
  checked(179, 171, wide_resnet_size(34, 10) / resnet_size(20), 0.5)
}

# The ratio of section 5.3.3 gives the size, up to the copy that its authors count twice.
check_widening_factor <- function(n, seed) {
  checked(wide_resnet_size(34, 1), wide_resnet_size(34, 10), 179 * resnet_size(20), 0.05 * 179 * resnet_size(20))
}

# DeepFool on a linear classifier is the shortest step across the boundary. Only points that are
# classified correctly are attacked, so none becomes correct.
check_gain_by_attack <- function(n, seed) {
  mma <- function(attack) {
    rows <- paper_table("table3", attack)
    rows$value[rows$method == "mma"]
  }
  data <- three_clusters(n, p = 0.55, m = 7, sigma = 0.6, seed = seed)
  correct <- sign(data$x1) == data$y
  step <- ifelse(correct & abs(data$x1) <= 0.5, -sign(data$x1) * (abs(data$x1) + 1e-9), 0)
  attacked <- sign(data$x1 + step) == data$y
  checked(mma("deepfool") - mma("natural"), 0, 100 * mean(attacked & !correct), 0)
}
