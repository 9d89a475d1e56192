# Fake counts of three seeds and two methods.
fake_seeds <- function(...) {
  table <- expand.grid(
    seed = 1:3, method = c("r-at", "sense"), attack = c("natural", "worst"), stringsAsFactors = FALSE
  )
  cbind(table, k = seq(10, 32, by = 2), n = 40, ...)
}
