#' The radius from which R-AT of a linear classifier collapses
#'
#' With the exact adversary, R-AT's objective for a linear model is the mean of
#' log(1 + exp(-(y (w.x + b) - eps |w|_2))), which is convex. Its subgradients at
#' w = 0, b = 0 hold 0 exactly when eps is at least |E(Y X)|, here
#' sqrt(1 + (m (2 p - 1) / 2)^2). From that radius on the optimum is the constant
#' classifier: gradient descent with a fixed step then circles around w = 0 and the
#' direction of the boundary, which is what one sees, is left to chance.
#'
#' @param p,m As in [three_clusters()]; `sigma` does not matter.
#' @return The radius, in the units of the data.
#' @source Derived here; the paper says that whether R-AT collapses is difficult to tell.
#' @examples
#' collapse_radius(p = 0.55)
#' @export
collapse_radius <- function(p = 0.55, m = 7) {
  check_law(p, m, 1)
  sqrt(1 + (m * (2 * p - 1) / 2)^2)
}
